package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/tenant"
)

// examination is the doctor's JSON report.
type examination struct {
	Status string
	Checks []finding
	code   int
	text   string
}

// examine runs the doctor in an environment, beside whatever runs on its database.
func examine(t *testing.T, environ []string, args ...string) examination {
	t.Helper()
	var out, errOut bytes.Buffer
	e := examination{}
	e.code = Run(t.Context(), append([]string{"doctor", "--output", "json"}, args...), strings.NewReader(""), &out, &errOut, environ)
	e.text = out.String() + errOut.String()
	require.NoError(t, json.Unmarshal(out.Bytes(), &e), e.text)
	require.Equal(t, e.Status == findingFail, e.code == exitFailed, "only a failure makes the exit code 1")
	return e
}

func (h *harness) doctor(t *testing.T, args ...string) examination {
	t.Helper()
	if h.p.public != nil {
		args = append(args, "--url", h.publicURL()+"/webhook/servicedesk")
	}
	return examine(t, h.environ, args...)
}

// require returns the one finding of a check, and requires how it stands and what it says to do.
func (e examination) require(t *testing.T, status, check, tenantID string, says ...string) {
	t.Helper()
	for _, f := range e.Checks {
		if f.Check == check && f.Tenant == tenantID && f.Status == status {
			for _, text := range says {
				require.Contains(t, f.Detail+"\n"+f.Next, text)
			}
			if status == findingFail {
				require.NotEmpty(t, f.Next, "a failure names the next step")
			}
			return
		}
	}
	require.Failf(t, "no such finding", "%s %s %s in:\n%s", status, check, tenantID, e.text)
}

func (e examination) count(status string) (n int) {
	for _, f := range e.Checks {
		if f.Status == status {
			n++
		}
	}
	return n
}

func TestDoctorFindsNothingWrongAndChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{APIKey: "sk-very-secret", Respond: repeatEvidence}),
		withEnviron(envPrefix+"OPENAI_MODEL=gpt-6-luna"))
	acme := h.tenant("acme", nil, nil)
	for id, kind := range map[string]string{"by-token": tenant.AuthToken, "by-standard": tenant.AuthStandard} {
		h.tenant(id, nil, func(in *tenant.CreateInput) { in.WebhookAuth = []string{kind} })
	}
	off := h.tenant("off", nil, nil)
	_, err := h.p.system.tenants.Disable(t.Context(), "test", off.id)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return scan[int](h, `SELECT count(*) FROM worker_heartbeats`) == 1 }, patience, 10*time.Millisecond)

	for range 2 {
		e := h.doctor(t)
		require.Equal(t, findingOK, e.Status, e.text)
		for _, check := range []string{
			"configuration", "database", "database version", "database TLS", "clock", "schema", "row-level security", "role", "queue",
			"workers", "encryption keys", "model",
		} {
			e.require(t, findingOK, check, "")
		}
		for _, id := range []string{"acme", "by-token", "by-standard"} {
			e.require(t, findingOK, "tenant keys", id)
			e.require(t, findingOK, "desk", id, "no note yet")
			e.require(t, findingOK, "history", id)
			e.require(t, findingOK, "webhook", id, "accepted")
		}
		e.require(t, findingOK, "tenant", "off", "disabled")
		for _, word := range []string{acme.secret, acme.desk.apiKey, "sk-very-secret", h.cfg.Encryption.Keys.Reveal(), password(t, h.db.AppURL)} {
			require.NotContains(t, e.text, word, "no secret is printed")
		}
	}
	require.Equal(t, []string{"completed skipped", "completed skipped", "completed skipped"},
		scanAll[string](h, `SELECT status || ' ' || outcome FROM enhancement_history`), "one row a tenant and day, and no note")
	require.Zero(t, scan[int](h, `SELECT count(*) FROM river_job WHERE kind = 'enhance_ticket'`))

	one := h.doctor(t, "--tenant", "acme")
	one.require(t, findingOK, "webhook", "acme")
	require.False(t, slices.ContainsFunc(one.Checks, func(f finding) bool { return f.Tenant != "" && f.Tenant != "acme" }))
	h.doctor(t, "--tenant", "nobody").require(t, findingFail, "tenants", "", "nobody")

	code, out, errOut := h.cli("", "doctor", "--tenant", "acme")
	require.Zero(t, code, out+errOut)
	require.Regexp(t, `(?m)^STATUS +CHECK +TENANT +FINDING$`, out)
	require.Contains(t, out, "nothing answers at", "the default address is this machine's")
	require.Regexp(t, `(?m)^warn .*1 warn, 0 fail$`, out)
	code, _, _ = h.cli("", "doctor", "--url", "not an address")
	require.Equal(t, exitUsage, code)
}

func password(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	word, set := u.User.Password()
	require.True(t, set)
	return word
}

func TestDoctorOnAFaultyConfiguration(t *testing.T) {
	t.Parallel()
	e := examine(t, []string{envPrefix + "LOG_LEVEL=loud", envPrefix + "WORKER_CONCURRENCY=0", envPrefix + "ENVIRONMENT=staging"})
	require.Equal(t, 4, e.count(findingFail), "every fault has its line: %s", e.text)
	e.require(t, findingWarn, "everything else", "", "skipped")
	e.require(t, findingFail, "configuration", "")
}

func TestDoctorWithoutADatabaseStillAsksTheRest(t *testing.T) {
	t.Parallel()
	e := examine(t, []string{
		envPrefix + "DATABASE_URL=postgres://app:hidden-word@127.0.0.1:1/aiagents", envPrefix + "ENCRYPTION_KEYS=" + newKeyText(randomBytes(32)),
		envPrefix + "HTTP_ADDR=127.0.0.1:1", envPrefix + "DATABSE_URL=x",
	})
	e.require(t, findingFail, "database", "", "connection refused", "AI_AGENTS_DATABASE_URL")
	e.require(t, findingWarn, "schema, roles, queue", "", "skipped")
	e.require(t, findingWarn, "tenants", "", "skipped")
	e.require(t, findingWarn, "model", "", "facts-only")
	e.require(t, findingWarn, "webhook", "", "skipped")
	e.require(t, findingWarn, "configuration", "", "AI_AGENTS_DATABSE_URL")
	require.NotContains(t, e.text, "hidden-word")
}

func TestDoctorOnADatabaseThatIsNotReady(t *testing.T) {
	t.Parallel()
	empty := dbtest.NewEmpty(t)
	e := examine(t, []string{envPrefix + "DATABASE_URL=" + empty.OwnerURL, envPrefix + "ENCRYPTION_KEYS=" + newKeyText(randomBytes(32))})
	e.require(t, findingFail, "schema", "", "migrate up")
	e.require(t, findingWarn, "roles, queue", "", "skipped")

	h := newHarness(t, withRole("serve"))
	require.Empty(t, scanAll[int](h, `ALTER TABLE system_inventory NO FORCE ROW LEVEL SECURITY`))
	production := append(slices.Clone(h.environ), envPrefix+"ENVIRONMENT=production", envPrefix+"DATABASE_URL="+h.db.OwnerURL)
	e = examine(t, production)
	e.require(t, findingFail, "row-level security", "", "system_inventory")
	e.require(t, findingFail, "role", "", "owns tenant tables")
	h.doctor(t).require(t, findingWarn, "row-level security", "", "system_inventory") // development warns
}

func TestDoctorOnTheQueue(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, nil)
	h.doctor(t).require(t, findingWarn, "workers", "", "none is alive", "aiagents work")
	require.Equal(t, 202, acme.send(acme.body("1")).status)
	require.Equal(t, 202, acme.send(acme.body("2")).status)
	scanAll[int](h, `UPDATE river_job SET scheduled_at = now() - interval '2 minutes'`)
	e := h.doctor(t)
	e.require(t, findingFail, "workers", "", "2 jobs wait")
	e.require(t, findingWarn, "queue", "", "2m", "2 available")
	scanAll[int](h, `UPDATE river_job SET scheduled_at = now() - interval '10 minutes'`)
	scanAll[int](h, `UPDATE river_job SET state = 'running', attempted_at = now() - interval '1 hour' WHERE id = (SELECT min(id) FROM river_job)`)
	scanAll[int](h, `UPDATE enhancement_history SET created_at = now() - interval '11 minutes' WHERE ticket_id = '1'`)
	e = h.doctor(t)
	e.require(t, findingFail, "queue", "", "10m", "high-queue-depth")
	e.require(t, findingFail, "running jobs", "", "1 run")
	e.require(t, findingWarn, "history", "acme", "2 are pending")
}

func TestDoctorOnKeys(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	h.tenant("acme", nil, nil)
	old := h.cfg.Encryption.Keys.Reveal()
	fresh := strings.Replace(newKeyText(randomBytes(32)), "dev:", "next:", 1)
	with := func(keys string) []string { return append(slices.Clone(h.environ), envPrefix+"ENCRYPTION_KEYS="+keys) }
	e := examine(t, with(fresh+","+old))
	e.require(t, findingWarn, "tenant keys", "acme", "keys rotate", "dev")
	e = examine(t, with(fresh))
	e.require(t, findingFail, "tenant keys", "acme", `"dev"`, "AI_AGENTS_ENCRYPTION_KEYS")
	require.NotContains(t, e.text, strings.TrimPrefix(fresh, "next:"))
}

func TestDoctorOnDesksAndWebhooks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	faulty := func(id string, kind servicedesk.FaultKind) *testTenant {
		tt := h.tenant(id, nil, nil)
		tt.desk.AddFault(servicedesk.Fault{Kind: kind})
		return tt
	}
	faulty("refused", servicedesk.Unauthorized)
	faulty("forbidden", servicedesk.Forbidden)
	faulty("page", servicedesk.HTMLPage)
	at := func(id, address string, change func(*tenant.CreateInput)) {
		h.tenant(id, nil, func(in *tenant.CreateInput) {
			if address != "" {
				in.ServiceDeskURL = address
			}
			if change != nil {
				change(in)
			}
		})
	}
	at("down", "http://127.0.0.1:1", nil)
	at("private", "https://10.1.2.3", nil)
	at("elsewhere", "", func(in *tenant.CreateInput) { in.AllowedCIDRs = []string{"203.0.113.0/24"} })
	at("monitored", "", func(in *tenant.CreateInput) {
		p := tenant.DefaultPreferences()
		p.Monitoring = json.RawMessage(`{"providers":[{"kind":"prometheus","base_url":"https://prometheus.example","auth_ref":"prom"}]}`)
		in.Preferences = &p
	})
	many := h.newDesk(servicedesk.Options{Edition: servicedesk.MSPOnPrem, Accounts: []servicedesk.Account{{ID: "11", Name: "One"}, {ID: "12", Name: "Two"}}})
	_, _, err := many.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "Printer", Description: "Jam", AccountID: "11"})
	require.NoError(t, err)
	msp := func(accounts ...string) func(*tenant.CreateInput) {
		return func(in *tenant.CreateInput) {
			in.ServiceDeskURL, in.APIKey, in.AccountIDs = many.url, secret.New(many.apiKey), accounts
			if len(accounts) > 0 {
				in.Edition = tenant.MSPOnPrem
			}
		}
	}
	at("wrong-edition", "", msp())
	at("wrong-account", "", msp("999"))
	at("right-account", "", msp("11"))
	failed := h.tenant("failed", nil, nil)
	require.Equal(t, 202, failed.send(failed.body("no-such-ticket")).status)
	failed.settled()

	e := h.doctor(t)
	e.require(t, findingFail, "desk", "refused", "credentials", "--servicedesk-api-key-file")
	e.require(t, findingFail, "desk", "forbidden", "role")
	e.require(t, findingFail, "desk", "page")
	e.require(t, findingFail, "desk", "down", "connection refused")
	e.require(t, findingFail, "desk", "private", "AI_AGENTS_EGRESS_ALLOW_CIDRS")
	e.require(t, findingFail, "webhook", "elsewhere", "401", "--allowed-cidrs")
	e.require(t, findingFail, "monitoring", "monitored", "prom", "tenant secret set")
	e.require(t, findingWarn, "desk edition", "wrong-edition", "msp_onprem")
	e.require(t, findingWarn, "desk accounts", "wrong-account", "999")
	require.False(t, slices.ContainsFunc(e.Checks, func(f finding) bool { return f.Tenant == "right-account" && f.Check == "desk accounts" }))
	e.require(t, findingWarn, "history", "failed", "1 failed", "enhancement list --tenant failed")

	scanAll[int](h, `INSERT INTO desk_connections (tenant_id, paused_at, pause_reason) VALUES ('failed', now(), 'a reason to pause')
		ON CONFLICT (tenant_id) DO UPDATE SET paused_at = now(), pause_reason = 'a reason to pause'`)
	h.doctor(t, "--tenant", "failed").require(t, findingWarn, "desk", "failed", "a reason to pause", "resumed")
	h.doctor(t, "--tenant", "failed").require(t, findingOK, "desk", "failed")

	_, table, _ := h.cli("", "doctor")
	require.Regexp(t, `(?m)^ +-> make a new key on the desk`, table)
	shown := shorten(e.Checks, 10)
	require.Len(t, shown, 10)
	require.False(t, slices.ContainsFunc(shown, func(f finding) bool { return f.Tenant != "" && f.Status == findingOK }), "the bad lines go first")

	closed := examine(t, h.environ, "--url", "http://127.0.0.1:1/webhook/servicedesk")
	closed.require(t, findingFail, "webhook", "", "connection refused")
	wrong := examine(t, h.environ, "--url", h.opsURL()+"/webhook/servicedesk", "--tenant", "failed")
	wrong.require(t, findingFail, "webhook", "failed", "404")
}

func TestDoctorOnTheModel(t *testing.T) {
	t.Parallel()
	d := &doctor{now: time.Now}
	ask := func(opts openai.Options, models ...string) []finding {
		listening, err := openai.Serve("127.0.0.1:0", openai.New(opts))
		require.NoError(t, err)
		defer listening.Close()
		d.cfg = defaultConfig()
		d.cfg.OpenAI.BaseURL, d.cfg.OpenAI.APIKey = listening.URL, secret.New("sk-given")
		d.cfg.OpenAI.Model, d.cfg.OpenAI.FallbackModels = models[0], models[1:]
		var f findings
		d.model(context.Background(), &f)
		return f.list
	}
	found := ask(openai.Options{}, "gpt-6-luna", "gpt-5.4-mini")
	require.Len(t, found, 2)
	require.Equal(t, findingOK, found[0].Status, found)
	found = ask(openai.Options{APIKey: "sk-another"}, "gpt-6-luna")
	require.Equal(t, findingFail, found[0].Status)
	require.Contains(t, found[0].Next, "AI_AGENTS_OPENAI_API_KEY")
	found = ask(openai.Options{}, "gpt-none", "gpt-6-luna")
	require.Equal(t, findingFail, found[0].Status)
	require.Contains(t, found[0].Next, "AI_AGENTS_OPENAI_MODEL")
	require.Equal(t, findingOK, found[1].Status, "the fallback answers")

	for day, want := range map[string]string{"2026-10-01": "", "2026-11-23": "in 52 days", "2027-02-01": "was announced"} {
		now, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		d.now = func() time.Time { return now }
		var f findings
		d.retirement(&f, "gpt-4o-mini", time.Date(2027, 1, 14, 0, 0, 0, 0, time.UTC))
		if want == "" {
			require.Empty(t, f.list, day)
			continue
		}
		require.Contains(t, f.list[0].Detail, want)
		require.Contains(t, f.list[0].Next, "AI_AGENTS_OPENAI_MODEL")
	}
}

func TestDoctorKnowsVersionsClocksAndTLS(t *testing.T) {
	t.Parallel()
	for number, want := range map[int]string{140019: "older than 15", 150013: "CVE-2025-8713", 150014: "", 160009: "16.10", 170006: "", 180000: "", 190000: ""} {
		if want == "" {
			require.Empty(t, outdated(number))
		} else {
			require.Contains(t, outdated(number), want)
		}
	}
	base := &database{DB: dbtest.New(t).DB}
	for offset, want := range map[time.Duration]string{0: findingOK, -time.Hour: findingWarn, time.Hour: findingWarn} {
		d := &doctor{now: func() time.Time { return time.Now().Add(offset) }}
		var f findings
		require.NoError(t, d.server(t.Context(), &f, base))
		require.Equal(t, want, f.list[len(f.list)-1].Status, f.list)
	}
	for query, want := range map[string]string{
		"sslmode=disable": "fail disable", "sslmode=prefer": "fail prefer", "": "fail prefer", "sslmode=require": "warn require",
		"sslmode=verify-ca": "warn verify-ca", "sslmode=verify-full": "ok verify-full",
	} {
		d := &doctor{cfg: Config{Environment: production}}
		var f findings
		d.transport(&f, "postgres://app@db.example/aiagents?"+query)
		require.True(t, strings.HasPrefix(f.list[0].Status+" "+f.list[0].Detail, want), "%s: %v", query, f.list)
	}
	_, local := tlsMode("postgres://app@127.0.0.1/aiagents?sslmode=disable")
	require.True(t, local)
}
