package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// helperEnv turns this test binary into a process that runs a server on the
// named folder until its standard input ends.
const helperEnv = "EMBEDDED_TEST_HELPER"

const patience = time.Minute

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		if err := runHelper(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func runHelper(dir string) error {
	s, err := Start(context.Background(), Options{DataDir: dir})
	if err != nil {
		return err
	}
	fmt.Println(s.process.Pid, s.process.guard.cmd.Process.Pid, s.OwnerURL())
	_, err = io.Copy(io.Discard, os.Stdin)
	s.Stop(context.Background())
	return err
}

// helper is another process that owns a server.
type helper struct {
	cmd           *exec.Cmd
	stdin         io.Closer
	pid, guardPID int // of its server and of that one's watchdog
	ownerURL      string
}

func startHelper(t *testing.T, dir string, env ...string) *helper {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), helperEnv+"="+dir), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &helper{cmd: cmd, stdin: stdin}
	t.Cleanup(h.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	_, err = fmt.Sscan(line, &h.pid, &h.guardPID, &h.ownerURL)
	require.NoError(t, err, "the helper says: %s", line)
	return h
}

// kill ends the helper in the way that gives it no chance to clean up.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// requireGone waits for a process to end. Nobody may be there to reap it, so a zombie counts as ended.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if !runs(pid) {
			return true
		}
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		return err != nil || strings.HasPrefix(string(state), "Z")
	}, patience, 20*time.Millisecond, "process %d still runs", pid)
}

// newDir is a data folder that the server's user can reach, which t.TempDir is not for root.
func newDir(t *testing.T) string {
	t.Helper()
	return newDirIn(t, "/dev/shm")
}

// newProgramDir is for programs, which memory file systems often refuse to run.
func newProgramDir(t *testing.T) string {
	t.Helper()
	return newDirIn(t)
}

func newDirIn(t *testing.T, parents ...string) string {
	t.Helper()
	base, err := TempDir("aiagents-embedded-test", parents...)
	require.NoError(t, err)
	dir, err := os.MkdirTemp(base, "")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Stop(context.Background()) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exe(t *testing.T, url, sql string) {
	t.Helper()
	_, err := connect(t, url).Exec(t.Context(), sql)
	require.NoError(t, err)
}

func read[T any](t *testing.T, url, sql string) (value T) {
	t.Helper()
	require.NoError(t, connect(t, url).QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// ownerOf is the user that a process runs as.
func ownerOf(t *testing.T, pid int) string {
	t.Helper()
	out, err := exec.Command("ps", "-o", "uid=", "-p", strconv.Itoa(pid)).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
