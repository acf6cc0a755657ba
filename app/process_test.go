package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// binary is the program as users run it, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aiagents-binary-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "aiagents")
	out, err := exec.Command("go", "build", "-o", file, "..").CombinedOutput()
	if err != nil {
		return "", &buildError{out}
	}
	return file, nil
})

type buildError struct{ out []byte }

func (e *buildError) Error() string { return string(e.out) }

// spawn starts a role as a process of its own on the harness's database.
func (h *harness) spawn(role string, environ ...string) *exec.Cmd {
	h.t.Helper()
	file, err := binary()
	require.NoError(h.t, err)
	cmd := exec.Command(file, role)
	cmd.Env = append(append(os.Environ(), h.environ...), environ...)
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(h.t, cmd.Start())
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if h.t.Failed() {
			h.t.Logf("%s: %s", role, log.String())
		}
	})
	return cmd
}

// quickRecovery shortens what a test would otherwise wait for. The rules stay the same.
var quickRecovery = []string{
	"AI_AGENTS_WORKER_HEARTBEAT=100ms", "AI_AGENTS_NOTIFIER_POST_TIMEOUT=1s", "AI_AGENTS_NOTIFIER_SERVER_SLACK=500ms",
	"AI_AGENTS_NOTIFIER_LIST_DELAY=100ms", "AI_AGENTS_WORKER_SOFT_STOP=5s",
}

func TestAWorkerKilledInMidJobEndsWithOneNote(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(h *harness, acme *testTenant)
		reached func(h *harness, acme *testTenant) bool
	}{
		"while the model thinks": {
			func(h *harness, _ *testTenant) { h.model.Script(openai.Behaviour{Kind: openai.Stall}) },
			func(h *harness, _ *testTenant) bool { return h.model.Calls() == 1 },
		},
		"after the desk took the note, before the worker knew": {
			func(_ *harness, acme *testTenant) {
				acme.desk.AddFault(servicedesk.Fault{Kind: servicedesk.SlowDrip, Operation: servicedesk.NotesAdd, Times: 1})
			},
			func(_ *harness, acme *testTenant) bool { return acme.desk.Count(servicedesk.NotesAdd) == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, withRole("serve"), withModel(openai.Options{Respond: answerFromEvidence}))
			acme := h.tenant("acme", nil, nil)
			acme.teach("800", "VPN error 809 after the update", "IPsec ports were blocked by the new rule; opened UDP 500 and 4500.")
			c.prepare(h, acme)
			victim := h.spawn("work", quickRecovery...)
			id := acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "VPN error 809 since the update"})
			require.Eventually(t, func() bool { return c.reached(h, acme) }, patience, 5*time.Millisecond)
			require.NoError(t, victim.Process.Kill())
			killed := time.Now()
			h.spawn("work", quickRecovery...)
			acme.settled()
			t.Logf("settled %s after the kill", time.Since(killed).Round(time.Millisecond))
			require.Len(t, acme.desk.Notes(id), 1)
			require.Equal(t, "completed", scan[string](h, `SELECT status FROM enhancement_history WHERE tenant_id = 'acme'`))
		})
	}
}

func TestSIGTERMFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"), withModel(openai.Options{Respond: answerFromEvidence, Latency: func(openai.Request) time.Duration { return 500 * time.Millisecond }}))
	acme := h.tenant("acme", nil, nil)
	worker := h.spawn("work", quickRecovery...)
	id := acme.file(servicedesk.Ticket{Subject: "VPN", Description: "error 809"})
	require.Eventually(t, func() bool {
		return scan[int](h, `SELECT count(*) FROM river_job WHERE state = 'running' AND kind = 'enhance_ticket'`) == 1
	}, patience, 5*time.Millisecond)
	require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
	require.NoError(t, worker.Wait(), "an orderly stop exits 0")
	require.Len(t, acme.desk.Notes(id), 1)
	require.Zero(t, scan[int](h, `SELECT count(*) FROM worker_heartbeats`), "it said goodbye")
}

func TestARoleWithoutADatabaseSaysWhatToSet(t *testing.T) {
	t.Parallel()
	file, err := binary()
	require.NoError(t, err)
	cmd := exec.Command(file, "serve")
	cmd.Env = []string{"AI_AGENTS_ENVIRONMENT=production", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exitFailed, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "AI_AGENTS_DATABASE_URL")
	require.Contains(t, string(out), "AI_AGENTS_ENCRYPTION_KEYS")
}
