package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKilledOwnerLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	// Variables for Postgres tools in the caller's environment must not matter.
	h := startHelper(t, dir, "PGDATA=/nonexistent", "PGPORT=1")
	exe(t, h.ownerURL, `CREATE TABLE kept (v text); INSERT INTO kept VALUES ('here')`)
	h.kill()
	requireGone(t, h.pid)
	requireGone(t, h.guardPID)

	s := start(t, Options{DataDir: dir})
	require.Equal(t, "here", read[string](t, s.OwnerURL(), `SELECT v FROM kept`))
}

func TestStartDoesNotWaitForAKilledOwnersServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	h := startHelper(t, dir)
	exe(t, h.ownerURL, `CREATE TABLE kept (v text); INSERT INTO kept VALUES ('here')`)
	h.kill()
	s := start(t, Options{DataDir: dir}) // at once, while the old server may still run
	require.Equal(t, "here", read[string](t, s.OwnerURL(), `SELECT v FROM kept`))
	requireGone(t, h.pid)
}

func TestServerOfADeadOwnerIsStopped(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{DataDir: dir})
	s.Stop(t.Context())
	// A server that neither the kernel nor a watchdog stops.
	port, err := freePort()
	require.NoError(t, err)
	orphan := s.account.command(context.Background(), s.binaries.program("postgres"), "-D", s.data(),
		"-c", fmt.Sprintf("port=%d", port), "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1")
	require.NoError(t, orphan.Start())
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	require.Eventually(t, func() bool {
		f, err := readPIDFile(s.data())
		return err == nil && f.status == "ready"
	}, patience, pollEvery)

	s = start(t, Options{DataDir: dir})
	require.Equal(t, 1, read[int](t, s.AppURL(), `SELECT 1`))
	select {
	case <-ended:
	case <-time.After(patience):
		require.Fail(t, "the old server still runs")
	}
}

func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{DataDir: dir})
	s.Stop(t.Context())
	bystander := s.account.command(t.Context(), "/bin/sleep", "1000")
	require.NoError(t, bystander.Start())
	defer func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	}()
	gone := exec.Command("/bin/sh", "-c", "exit 0")
	require.NoError(t, gone.Run())
	for name, pid := range map[string]int{"number taken by another process": bystander.Process.Pid, "process gone": gone.Process.Pid} {
		path := filepath.Join(s.data(), "postmaster.pid")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "%d\n%s\n1\n1\n\n\n\nready   \n", pid, s.data()), 0o600), name)
		s, err := Start(t.Context(), Options{DataDir: dir})
		require.NoError(t, err, name)
		require.Equal(t, 1, read[int](t, s.AppURL(), `SELECT 1`), name)
		s.Stop(t.Context())
	}
	require.NoError(t, bystander.Process.Signal(syscall.Signal(0)), "the other process is left alone")
}

// The watchdog is the only safety where the kernel has no parent-death signal, so it is tested without one.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		leave  func(*watchdog)
		killed bool
	}{
		{"owner dies", func(w *watchdog) { _ = w.pipe.Close() }, true},
		{"owner says goodbye", func(w *watchdog) { w.dismiss() }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := serverAccount()
			server := a.command(t.Context(), "/bin/sleep", "1000")
			require.NoError(t, server.Start())
			defer func() {
				_ = server.Process.Kill()
			}()
			w, err := startWatchdog(a, stopGrace)
			require.NoError(t, err)
			require.NoError(t, w.watch(server.Process.Pid))
			tc.leave(w)
			if !tc.killed {
				require.NoError(t, server.Process.Signal(syscall.Signal(0)))
				_ = server.Process.Kill()
			}
			err = server.Wait()
			status := server.ProcessState.Sys().(syscall.WaitStatus)
			want := syscall.SIGKILL
			if tc.killed {
				want = syscall.SIGINT
				require.NoError(t, w.cmd.Wait())
			}
			require.Error(t, err)
			require.Equal(t, want, status.Signal())
		})
	}
}

func TestWatchdogInsists(t *testing.T) {
	t.Parallel()
	a := serverAccount()
	stubborn := a.command(t.Context(), "/bin/sh", "-c", `trap '' INT; echo ready; while :; do sleep 0.1; done`)
	out, err := stubborn.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, stubborn.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	w, err := startWatchdog(a, time.Second)
	require.NoError(t, err)
	require.NoError(t, w.watch(stubborn.Process.Pid))
	require.NoError(t, w.pipe.Close())
	require.Error(t, stubborn.Wait())
	require.Equal(t, syscall.SIGQUIT, stubborn.ProcessState.Sys().(syscall.WaitStatus).Signal())
	_ = w.cmd.Wait()
}
