package tests

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// exported runs the real program with everything that it can have to report on: a model behind TLS, a tenant with a desk and
// a past ticket, a note that stands. It returns what the program then exports.
func exported(t *testing.T) catalogue {
	t.Helper()
	model := httptest.NewTLSServer(openai.New(openai.Options{}).Handler())
	t.Cleanup(model.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authority, []byte(pemOf(model)), 0o600))
	d := dbtest.NewUnopened(t)
	environ := append(os.Environ(), "AI_AGENTS_DATABASE_URL="+d.AppURL, "AI_AGENTS_ENCRYPTION_KEYS="+keyring,
		"AI_AGENTS_HTTP_ADDR=127.0.0.1:0", "AI_AGENTS_OPS_ADDR=127.0.0.1:0", "AI_AGENTS_HTTP_SHUTDOWN_DELAY=0s",
		"AI_AGENTS_OPENAI_BASE_URL="+model.URL+"/v1", "AI_AGENTS_OPENAI_API_KEY=sk-test", "AI_AGENTS_OPENAI_CA_FILE="+authority,
		"AI_AGENTS_TELEMETRY_TENANT_LABEL=true", "AI_AGENTS_WORKER_HEARTBEAT=200ms")
	const key = "0123456789ABCDEF"
	desk, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: key})
	require.NoError(t, err)
	srv, err := servicedesk.Serve("127.0.0.1:0", desk)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	secret := strings.Repeat("s", 32)
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	command(t, environ, "tenant", "create", "--id", "acme", "--name", "Acme", "--servicedesk-url", srv.URL,
		"--servicedesk-api-key-file", file("key", key), "--webhook-secret-file", file("secret", secret))
	command(t, environ, "tickets", "import", "--tenant", "acme", file("tickets.csv",
		"ticket_id,subject,description,resolution,resolved_at,priority,tags\n1,VPN error 809,VPN error 809 since the update,Opened UDP 500 and 4500,2026-01-31T09:30:00Z,high,vpn\n"))
	command(t, environ, "inventory", "import", "--tenant", "acme", file("inventory.csv", "ip,hostname,role,location\n10.1.2.3,vpn01,vpn,Hall 1\n"))
	public, ops := startAll(t, environ)
	require.NoError(t, desk.AddWebhook(servicedesk.Webhook{
		URL: "http://" + public + "/webhook/servicedesk/acme", TenantID: "acme", Token: secret, Body: servicedesk.ThinBody,
	}))
	id, answer, err := desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "VPN error 809", Description: "vpn01 (10.1.2.3) answers with error 809"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status, answer.Body)
	require.Eventually(t, func() bool { return len(desk.Notes(id)) > 0 }, time.Minute, 100*time.Millisecond)
	var seen catalogue
	require.Eventually(t, func() bool {
		seen = scrape(t, "http://"+ops+"/metrics")
		// What comes last: the survey, the count after the note, and the first run of a periodic task.
		return seen["aiagents_survey_last_success_timestamp_seconds"] != nil && seen["aiagents_tenant_enhancements_total"] != nil &&
			seen["aiagents_tenant_desk_paused"] != nil && seen["aiagents_housekeeping_last_success_timestamp_seconds"] != nil
	}, 2*time.Minute, 500*time.Millisecond)
	return seen
}

func command(t *testing.T, environ []string, args ...string) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Env = environ
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", args, out)
}

// startAll runs the role all until the test ends, and returns where it listens.
func startAll(t *testing.T, environ []string) (public, ops string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary(t), "all")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = environ
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(logs)
	var seen strings.Builder
	for ops == "" && lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if m := opsAddr.FindStringSubmatch(lines.Text()); m != nil {
			ops, public = m[1], httpAddr.FindStringSubmatch(lines.Text())[1]
		}
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, logs) }()
	t.Cleanup(func() {
		cancel()
		<-drained
		_ = cmd.Wait()
	})
	require.NotEmpty(t, ops, seen.String())
	return public, ops
}

// scrape reads a page of metrics the way that Prometheus does.
func scrape(t *testing.T, url string) catalogue {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	seen := catalogue{"up": {}}
	for name, family := range families {
		if family.GetType() != dto.MetricType_HISTOGRAM {
			seen.add(name, family)
			continue
		}
		seen.add(name+"_count", family)
		seen.add(name+"_sum", family)
		seen.add(name+"_bucket", family)
		for _, b := range family.GetMetric()[0].GetHistogram().GetBucket() {
			le := model.FloatString(b.GetUpperBound()).String()
			seen[name+"_bucket"]["le"] = append(seen[name+"_bucket"]["le"], le)
		}
	}
	return seen
}

func (c catalogue) add(name string, family *dto.MetricFamily) {
	c[name] = map[string][]string{}
	for _, m := range family.GetMetric() {
		for _, label := range m.GetLabel() {
			c[name][label.GetName()] = append(c[name][label.GetName()], label.GetValue())
		}
	}
}
