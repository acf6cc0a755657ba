package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// previousBinary builds the program as it was at UPGRADE_REF, or else at the release before this tree, from git's history.
func previousBinary(t *testing.T) string {
	t.Helper()
	ref := os.Getenv("UPGRADE_REF")
	if ref == "" {
		released, err := os.ReadFile("../db/migrations/RELEASED")
		require.NoError(t, err)
		ref = regexp.MustCompile(`\b[0-9a-f]{40}\b`).FindString(string(released))
		if err := exec.Command("git", "cat-file", "-e", ref+"^{commit}").Run(); err != nil {
			t.Skipf("the previous release, %s, is not in the history here; UPGRADE_REF names another", ref)
		}
	}
	dir := t.TempDir()
	build := exec.Command("sh", "-c", `git -C .. archive "$1" | tar -x -C "$2" && cd "$2" && CGO_ENABLED=0 go build -trimpath -o previous .`, "sh", ref, dir)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("previous: %s", ref)
	return filepath.Join(dir, "previous")
}

// rollout is an installation whose programs are replaced while tickets come in.
type rollout struct {
	t       *testing.T
	db      *dbtest.Database
	desk    *testDesk
	environ []string
	secret  string
	filed   []string
}

// processOf is a running process of either program.
type processOf struct {
	*exec.Cmd
	t        *testing.T
	url, ops string
	done     chan struct{} // its log has ended
}

var startedLine = regexp.MustCompile(`"http_addr":"([^"]*)","ops_addr":"([^"]+)"`)

// launch starts a role of a program and waits until it has started.
func (r *rollout) launch(file, role string) *processOf {
	r.t.Helper()
	p := &processOf{Cmd: exec.Command(file, role), t: r.t, done: make(chan struct{})}
	p.Env = r.environ
	logs, err := p.StderrPipe()
	require.NoError(r.t, err)
	require.NoError(r.t, p.Start())
	lines := bufio.NewScanner(logs)
	var seen strings.Builder
	for p.ops == "" && lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if m := startedLine.FindStringSubmatch(lines.Text()); m != nil {
			p.url, p.ops = "http://"+m[1], "http://"+m[2]
		}
	}
	require.NotEmpty(r.t, p.ops, "%s did not start:\n%s", role, seen.String())
	go func() { defer close(p.done); _, _ = io.Copy(io.Discard, logs) }()
	r.t.Cleanup(func() { _ = p.Process.Kill(); <-p.done; _ = p.Wait() })
	return p
}

// stop ends a process as an orchestrator does, and requires that it ends in order.
func (p *processOf) stop() {
	p.t.Helper()
	require.NoError(p.t, p.Process.Signal(syscall.SIGTERM))
	<-p.done
	require.NoError(p.t, p.Wait())
}

func (p *processOf) ready() bool {
	resp, err := http.Get(p.ops + "/health/ready")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (r *rollout) command(file string, in string, args ...string) (string, error) {
	cmd := exec.Command(file, args...)
	cmd.Env, cmd.Stdin = r.environ, strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (r *rollout) must(file string, in string, args ...string) {
	r.t.Helper()
	out, err := r.command(file, in, args...)
	require.NoError(r.t, err, "%v: %s", args, out)
}

// file puts n tickets on the desk, and sends the webhook of each to one of the given processes in turn.
func (r *rollout) file(n int, to ...*processOf) {
	r.t.Helper()
	for i := range n {
		subject := fmt.Sprintf("Printer %d shows 0x0000011b", len(r.filed))
		id, _, err := r.desk.CreateTicket(context.Background(), servicedesk.Ticket{Subject: subject, Description: subject + " since the update"})
		require.NoError(r.t, err)
		body := []byte(fmt.Sprintf(`{"event":"ticket_created","tenant_id":"acme","ticket_id":%q,"description":%q,"priority":"high","created_at":"2026-11-23T04:00:00Z"}`, id, subject))
		req, err := http.NewRequest(http.MethodPost, to[i%len(to)].url+"/webhook/servicedesk", bytes.NewReader(body))
		require.NoError(r.t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-ServiceDesk-Signature", hexMAC(r.secret, body))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(r.t, err)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(r.t, err)
		require.NoError(r.t, resp.Body.Close())
		require.Equal(r.t, http.StatusAccepted, resp.StatusCode, "%s", answer)
		r.filed = append(r.filed, id)
	}
}

// allNoted waits until every ticket so far has its one note.
func (r *rollout) allNoted() {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		for _, id := range r.filed {
			if len(r.desk.Notes(id)) == 0 {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond)
	require.Eventually(r.t, func() bool {
		return r.count(`SELECT count(*) FROM enhancement_history WHERE status <> 'completed'`) == 0
	}, patience, 20*time.Millisecond)
	for _, id := range r.filed {
		require.Len(r.t, r.desk.Notes(id), 1, "ticket %s", id)
	}
	require.Zero(r.t, r.count(`SELECT count(*) FROM river_job WHERE state IN ('discarded', 'cancelled')`))
}

func (r *rollout) count(sql string) (n int) {
	r.t.Helper()
	conn, err := pgx.Connect(context.Background(), r.db.AdminURL)
	require.NoError(r.t, err)
	defer conn.Close(context.Background())
	require.NoError(r.t, conn.QueryRow(context.Background(), sql).Scan(&n))
	return n
}

// workedBy is how many jobs a process has had.
func (r *rollout) workedBy(p *processOf) int {
	r.t.Helper()
	return r.count(fmt.Sprintf(`SELECT count(*) FROM river_job WHERE kind = 'enhance_ticket' AND array_to_string(attempted_by, ' ') LIKE '%%-%d-%%'`, p.Process.Pid))
}

func newRollout(t *testing.T) *rollout {
	r := &rollout{t: t, db: dbtest.NewEmpty(t), secret: "upgrade-webhook-secret-0123456789"}
	h := &harness{t: t}
	r.desk = h.newDesk(servicedesk.Options{})
	model := openai.New(openai.Options{Respond: answerFromEvidence})
	listening, err := openai.Serve("127.0.0.1:0", model)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listening.Close()) })
	r.environ = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		envPrefix + "DATABASE_URL=" + r.db.AppURL, envPrefix + "MIGRATION_DATABASE_URL=" + r.db.OwnerURL,
		envPrefix + "ENCRYPTION_KEYS=" + newKeyText(randomBytes(32)), envPrefix + "DATABASE_MIN_CONNS=0", envPrefix + "DATABASE_MAX_CONNS=8",
		envPrefix + "HTTP_ADDR=127.0.0.1:0", envPrefix + "OPS_ADDR=127.0.0.1:0", envPrefix + "HTTP_SHUTDOWN_DELAY=0s",
		envPrefix + "OPENAI_BASE_URL=" + listening.URL, envPrefix + "OPENAI_API_KEY=sk-test", envPrefix + "WORKER_CONCURRENCY=3",
	}, quickRecovery...)
	return r
}

// A whole rolling upgrade from the release before this tree, with its real program, and the way back. Tickets come in all the
// time, and each ends with exactly one note, whichever program took its webhook and whichever worked its job.
func TestARollingUpgradeLosesNothing(t *testing.T) {
	t.Parallel()
	previous := previousBinary(t)
	current, err := binary()
	require.NoError(t, err)
	r := newRollout(t)
	r.must(previous, "", "migrate", "up")
	key, secret := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(key, []byte(r.desk.apiKey), 0o600))
	require.NoError(t, os.WriteFile(secret, []byte(r.secret), 0o600))
	r.must(previous, "", "tenant", "create", "--id", "acme", "--name", "Acme", "--servicedesk-url", r.desk.url,
		"--servicedesk-api-key-file", key, "--webhook-secret-file", secret)

	t.Log("1. the previous program on its own schema; new pods do not become ready before the migration")
	oldAPI, oldWorker := r.launch(previous, "serve"), r.launch(previous, "work")
	r.file(2, oldAPI)
	if _, err := r.command(current, "", "migrate", "status"); err != nil {
		for _, role := range []string{"serve", "work"} {
			out, err := r.command(current, "", role)
			require.Error(t, err)
			require.Contains(t, out, "aiagents migrate up")
		}
	}
	require.True(t, oldAPI.ready() && oldWorker.ready(), "the old ones stay")
	r.allNoted()

	t.Log("2. the migration, between tickets; the previous program goes on, on the new schema")
	r.file(3, oldAPI)
	r.must(current, "", "migrate", "up")
	r.file(3, oldAPI)
	require.True(t, oldAPI.ready() && oldWorker.ready())
	r.allNoted()

	t.Log("3. both programs side by side; then the previous one stops in the middle of its work")
	newAPI, newWorker := r.launch(current, "serve"), r.launch(current, "work")
	r.file(24, oldAPI, newAPI)
	require.Eventually(t, func() bool { return r.workedBy(oldWorker) > 6 && r.workedBy(newWorker) > 0 }, patience, 10*time.Millisecond,
		"both take their share")
	r.file(6, oldAPI, newAPI)
	oldWorker.stop()
	r.file(2, oldAPI)
	oldAPI.stop()
	r.file(2, newAPI)
	r.allNoted()

	t.Log("4. back: what the new program queued is worked by the previous one, whose own migration leaves the schema alone")
	newWorker.stop()
	r.file(4, newAPI)
	newAPI.stop()
	r.must(previous, "", "migrate", "up")
	oldAPI, oldWorker = r.launch(previous, "serve"), r.launch(previous, "work")
	r.file(2, oldAPI)
	r.allNoted()
	require.GreaterOrEqual(t, r.workedBy(oldWorker), 6)

	t.Log("5. forward again: what the previous program queued is worked by the new one")
	oldWorker.stop()
	r.file(3, oldAPI)
	oldAPI.stop()
	newWorker = r.launch(current, "work")
	r.allNoted()
	require.Equal(t, 3, r.workedBy(newWorker))
	t.Logf("%d tickets, %d notes", len(r.filed), r.desk.Count(servicedesk.NotesAdd))
}
