package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/tenant"
)

func TestMain(m *testing.M) {
	// Without an exporter spans are not recorded, and the harness is none that the program knows of.
	if err := os.Setenv("OTEL_TRACES_SAMPLER", "always_on"); err != nil {
		panic(err)
	}
	dbtest.Main(m,
		// lumberjack starts one goroutine for each file that it rotates, and never ends it.
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

// patience bounds every wait of these tests; the machine may be busy.
const patience = 30 * time.Second

// harness is one running role on a database of its own, with everything that it says to the outside.
type harness struct {
	t       testing.TB
	db      *dbtest.Database
	cfg     Config
	environ []string // makes the command line use the same database and keys
	p       *process
	logs    *safeBuffer
	spans   *tracetest.InMemoryExporter
	model   *openai.Server // nil without withModel
	client  *http.Client
	stop    func() // ends the role and waits; safe to call twice
}

// harnessOption changes what newHarness starts.
type harnessOption func(*harness, *harnessPlan)

type harnessPlan struct {
	role    string
	environ []string
	change  []func(*Config)
}

// withRole starts serve, work or all (the default).
func withRole(name string) harnessOption {
	return func(_ *harness, p *harnessPlan) { p.role = name }
}

// withConfig changes the configuration before the start.
func withConfig(change func(*Config)) harnessOption {
	return func(_ *harness, p *harnessPlan) { p.change = append(p.change, change) }
}

// withEnviron adds NAME=value settings for the role and for h.cli.
func withEnviron(entries ...string) harnessOption {
	return func(_ *harness, p *harnessPlan) { p.environ = append(p.environ, entries...) }
}

// withDatabase starts a further role on the database of another harness.
func withDatabase(other *harness) harnessOption {
	return func(h *harness, p *harnessPlan) {
		h.db = other.db
		p.environ = append(p.environ, envPrefix+"ENCRYPTION_KEYS="+other.cfg.Encryption.Keys.Reveal())
	}
}

// withModel starts a model server and points the role at it.
func withModel(opts openai.Options) harnessOption {
	return func(h *harness, p *harnessPlan) {
		h.model = openai.New(opts)
		listening, err := openai.Serve("127.0.0.1:0", h.model)
		require.NoError(h.t, err)
		h.t.Cleanup(func() { require.NoError(h.t, listening.Close()) })
		key := opts.APIKey
		if key == "" {
			key = "sk-test"
		}
		p.environ = append(p.environ, envPrefix+"OPENAI_BASE_URL="+listening.URL, envPrefix+"OPENAI_API_KEY="+key, envPrefix+"OPENAI_RETRY_DELAY=10ms")
	}
}

// newHarness starts a role; the test's end stops it and drops its database.
func newHarness(t testing.TB, opts ...harnessOption) *harness {
	t.Helper()
	h := &harness{t: t, logs: &safeBuffer{}, spans: tracetest.NewInMemoryExporter()}
	plan := harnessPlan{role: "all"}
	for _, opt := range opts {
		opt(h, &plan)
	}
	if h.db == nil {
		h.db = dbtest.NewUnopened(t)
		plan.environ = append(plan.environ, envPrefix+"ENCRYPTION_KEYS="+newKeyText(randomBytes(32)))
	}
	h.environ = append([]string{
		envPrefix + "DATABASE_URL=" + h.db.AppURL, envPrefix + "DATABASE_MIN_CONNS=0", envPrefix + "DATABASE_MAX_CONNS=10",
		envPrefix + "HTTP_ADDR=127.0.0.1:0", envPrefix + "OPS_ADDR=127.0.0.1:0", envPrefix + "HTTP_SHUTDOWN_DELAY=0s",
		envPrefix + "LOG_LEVEL=debug",
	}, plan.environ...)
	cfg, err := loadConfig("", h.environ)
	require.NoError(t, err)
	for _, change := range plan.change {
		change(&cfg)
	}
	h.cfg = cfg
	h.start(plan.role)
	return h
}

func (h *harness) start(name string) {
	h.t.Helper()
	p, err := start(context.Background(), roles[name], h.cfg, h.logs, io.Discard)
	require.NoError(h.t, err)
	h.p = p
	// Spans are exported as they end, so that a test can look at them without stopping the role.
	p.tel.provider.RegisterSpanProcessor(sdktrace.NewSimpleSpanProcessor(keepSpans{h.spans}))
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	h.client = &http.Client{Transport: transport, Timeout: patience}
	running, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(running) }()
	h.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		require.NoError(h.t, <-ended)
	})
	h.t.Cleanup(h.stop)
}

// keepSpans keeps what was exported when the provider shuts down.
type keepSpans struct{ *tracetest.InMemoryExporter }

func (keepSpans) Shutdown(context.Context) error { return nil }

// publicURL and opsURL are where the role listens.
func (h *harness) publicURL() string { return "http://" + h.p.publicAddr() }
func (h *harness) opsURL() string    { return "http://" + h.p.ops.addr() }

// testDesk is a simulated service desk of one tenant, or of several that share an MSP's desk.
type testDesk struct {
	*servicedesk.Desk
	url, apiKey string
}

// newDesk starts a desk. An empty API key gets a random one, an empty edition is onprem.
func (h *harness) newDesk(opts servicedesk.Options) *testDesk {
	h.t.Helper()
	if opts.Edition == "" {
		opts.Edition = servicedesk.OnPrem
	}
	if opts.APIKey == "" {
		opts.APIKey = strings.ToUpper(hex.EncodeToString(randomBytes(16)))
	}
	d, err := servicedesk.New(opts)
	require.NoError(h.t, err)
	srv, err := servicedesk.Serve("127.0.0.1:0", d)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, srv.Close()) })
	return &testDesk{Desk: d, url: srv.URL, apiKey: opts.APIKey}
}

// testTenant is a tenant with its desk, whose webhooks go to the role under test.
type testTenant struct {
	h      *harness
	id     string
	secret string // of its webhooks
	desk   *testDesk
}

// tenant makes a tenant on the desk, or on one of its own for nil. The change may be nil.
func (h *harness) tenant(id string, d *testDesk, change func(*tenant.CreateInput)) *testTenant {
	h.t.Helper()
	if d == nil {
		d = h.newDesk(servicedesk.Options{})
	}
	in := tenant.CreateInput{
		ID: id, Name: "Tenant " + id, Edition: tenant.OnPrem, ServiceDeskURL: d.url,
		APIKey: secret.New(d.apiKey), WebhookSecret: secret.New(rand.Text()),
	}
	if change != nil {
		change(&in)
	}
	created, err := h.p.system.tenants.Create(context.Background(), "test", in)
	require.NoError(h.t, err)
	tt := &testTenant{h: h, id: id, secret: created.WebhookSecret.Reveal(), desk: d}
	if h.p.public != nil {
		require.NoError(h.t, d.AddWebhook(servicedesk.Webhook{
			URL: h.publicURL() + "/webhook/servicedesk/" + id, TenantID: id, Token: tt.secret, Body: servicedesk.ThinBody,
			Account: firstOf(in.AccountIDs),
		}))
	}
	return tt
}

func firstOf(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return ""
}

// file files a ticket on the desk, which sends the webhook, and requires that it is taken.
func (tt *testTenant) file(t servicedesk.Ticket) string {
	tt.h.t.Helper()
	id, answer, err := tt.desk.CreateTicket(context.Background(), t)
	require.NoError(tt.h.t, err)
	require.Equal(tt.h.t, http.StatusAccepted, answer.Status, answer.Body)
	return id
}

// note waits until the ticket has its note.
func (tt *testTenant) note(ticketID string) servicedesk.Note {
	tt.h.t.Helper()
	require.Eventually(tt.h.t, func() bool { return len(tt.desk.Notes(ticketID)) > 0 }, patience, 10*time.Millisecond,
		"no note on ticket %s of %s", ticketID, tt.id)
	return tt.desk.Notes(ticketID)[0]
}

// settled waits until no enhancement of the tenant is pending.
func (tt *testTenant) settled() {
	tt.h.t.Helper()
	require.Eventually(tt.h.t, func() bool {
		return scan[int](tt.h, `SELECT count(*) FROM enhancement_history WHERE tenant_id = $1 AND status = 'pending'`, tt.id) == 0
	}, patience, 10*time.Millisecond, "enhancements of %s are still pending", tt.id)
}

// body is an event of the tenant about a ticket.
func (tt *testTenant) body(ticketID string, more ...string) []byte {
	fields := map[string]string{
		"event": "ticket_created", "tenant_id": tt.id, "ticket_id": ticketID, "created_at": "2026-11-23T04:00:00Z",
	}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	raw, err := json.Marshal(fields)
	require.NoError(tt.h.t, err)
	return raw
}

// send posts a correctly signed body.
func (tt *testTenant) send(body []byte) answer {
	tt.h.t.Helper()
	return tt.h.post("/webhook/servicedesk", body, "X-ServiceDesk-Signature", hexMAC(tt.secret, body))
}

func hexMAC(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// answer is a whole HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the code of an error answer, and empty for any other.
func (a answer) code() string {
	var e errorBody
	// An answer of another shape has no code.
	_ = json.Unmarshal([]byte(a.body), &e)
	return e.Error.Code
}

// post sends JSON to the public address, with the headers given in pairs.
func (h *harness) post(path string, body []byte, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodPost, h.publicURL()+path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// do sends any request. An empty value removes the header.
func (h *harness) do(method, url string, body []byte, headers ...string) answer {
	h.t.Helper()
	a, err := h.try(method, url, body, headers...)
	require.NoError(h.t, err)
	return a
}

// try is do for other goroutines than the test's.
func (h *harness) try(method, url string, body []byte, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(raw)}, err
}

// cli runs a command on the role's database, as an operator would beside the running role.
func (h *harness) cli(in string, args ...string) (code int, out, errOut string) {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(context.Background(), args, strings.NewReader(in), &stdout, &stderr, h.environ)
	return code, stdout.String(), stderr.String()
}

// metrics is the page that Prometheus would read.
func (h *harness) metrics() string {
	h.t.Helper()
	return h.do(http.MethodGet, h.opsURL()+"/metrics", nil).body
}

// scan reads one value as the superuser, past row-level security.
func scan[T any](h *harness, sql string, args ...any) T {
	h.t.Helper()
	return scanAll[T](h, sql, args...)[0]
}

// scanAll reads one column as the superuser.
func scanAll[T any](h *harness, sql string, args ...any) []T {
	h.t.Helper()
	conn, err := pgx.Connect(context.Background(), h.db.AdminURL)
	require.NoError(h.t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), sql, args...)
	require.NoError(h.t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(h.t, err)
	return values
}

// dump is every row of every table as text, by table; binary columns appear in hex.
func (h *harness) dump() map[string]string {
	h.t.Helper()
	tables := scanAll[string](h, `SELECT relname::text FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname`)
	out := map[string]string{}
	for _, table := range tables {
		out[table] = scan[string](h, `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM `+pgx.Identifier{table}.Sanitize()+` t`)
	}
	return out
}

// safeBuffer collects a log that several goroutines write.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestHarness(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	acme := h.tenant("acme", nil, nil)
	id := acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home since this morning"})
	note := acme.note(id)
	require.Contains(t, note.Description, "AIA-")
	require.False(t, note.ShowToRequester)
	acme.settled()
	code, out, errOut := h.cli("", "enhancement", "list", "--tenant", "acme")
	require.Zero(t, code, errOut)
	require.Contains(t, out, id)
	require.Contains(t, h.metrics(), "aiagents_webhook_requests_total")
	require.NotEmpty(t, h.spans.GetSpans())
	require.NotEmpty(t, h.dump()["enhancement_history"])
	h.stop()
	require.Contains(t, h.logs.String(), `"message":"stopped"`)
}
