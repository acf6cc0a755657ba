package app

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/tenant"
)

// eavesdropper stands in front of a server and keeps the trace headers of what it was asked.
type eavesdropper struct {
	next http.Handler

	mu     sync.Mutex
	traces []string // one a request; empty without a traceparent
}

func (e *eavesdropper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.traces = append(e.traces, r.Header.Get("traceparent")+r.Header.Get("tracestate"))
	e.mu.Unlock()
	e.next.ServeHTTP(w, r)
}

func (e *eavesdropper) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.traces...)
}

func eavesdrop(t *testing.T, next http.Handler) (*eavesdropper, string) {
	t.Helper()
	e := &eavesdropper{next: next}
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return e, srv.URL
}

func answering(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	})
}

// neighbours are one of each server that the program calls for a note.
type neighbours struct {
	h    *harness
	acme *testTenant
	all  map[string]*eavesdropper
}

func newNeighbours(t *testing.T, options ...harnessOption) *neighbours {
	t.Helper()
	n := &neighbours{all: map[string]*eavesdropper{}}
	listen := func(peer string, next http.Handler) string {
		e, u := eavesdrop(t, next)
		n.all[peer] = e
		return u
	}
	const key = "0123456789ABCDEF"
	desk, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: key})
	require.NoError(t, err)
	model := listen("model", openai.New(openai.Options{Respond: repeatEvidence}).Handler())
	// Feeds call desks on their own, in traces of their own.
	quiet := withConfig(func(c *Config) {
		c.Feed.ReconcileInterval, c.Feed.TicketsInterval, c.Feed.SolutionsInterval = 0, 0, 0
	})
	n.h = newHarness(t, append(options, quiet, withEnviron(envPrefix+"OPENAI_BASE_URL="+model+"/v1", envPrefix+"OPENAI_API_KEY=sk-test"))...)
	n.acme = n.h.tenant("acme", &testDesk{Desk: desk, url: listen("desk", desk.Handler()), apiKey: key}, func(in *tenant.CreateInput) {
		docs := listen("documentation", answering(`[{"id":"1","title":"VPN error 809","content":"VPN error 809: open UDP 500"}]`))
		prometheus := listen("monitoring", answering(`{"status":"success","data":{"alerts":[]}}`))
		p := tenant.DefaultPreferences()
		p.Monitoring = json.RawMessage(`{"providers":[{"kind":"prometheus","base_url":"` + prometheus + `","auth":"none"}]}`)
		p.Documentation = json.RawMessage(`{"providers":[{"kind":"http","base_url":"` + docs + `","auth_ref":"docs"}]}`)
		in.Preferences = &p
	})
	require.NoError(t, n.h.p.system.tenants.SetSecret(t.Context(), "test", "acme", "docs", secret.New("s3cret-token")))
	return n
}

// run lets one ticket get its note, and returns its trace.
func (n *neighbours) run(t *testing.T) string {
	t.Helper()
	id := n.acme.add(servicedesk.Ticket{Subject: "VPN error 809 on vpn01", Description: "VPN error 809 on 10.1.2.3"})
	body := n.acme.body(id)
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	a := n.h.post("/webhook/servicedesk", body, "X-ServiceDesk-Signature", hexMAC(n.acme.secret, body), "traceparent", "00-"+traceID+"-00f067aa0ba902b7-00")
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	n.acme.note(id)
	n.acme.settled()
	for peer, e := range n.all {
		require.NotEmpty(t, e.heard(), peer+" was asked")
	}
	return traceID
}

func TestATraceGoesOnlyToHostsThatTheOperatorNames(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string][]string{
		"none":       nil,
		"another":    {"desk.example.com", "0.0.1", "7.0.0.1"},
		"these":      {"127.0.0.1"},
		"among more": {"desk.example.com", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNeighbours(t, withConfig(func(c *Config) { c.Telemetry.PropagateTo = hosts }))
			traceID := n.run(t)
			for peer, e := range n.all {
				for _, heard := range e.heard() {
					if name == "none" || name == "another" {
						require.Empty(t, heard, peer)
					} else {
						require.Contains(t, heard, "00-"+traceID+"-", peer)
					}
				}
			}
		})
	}
}

func TestEveryOutboundCallIsASpanThatQuotesNothing(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	traceID := n.run(t)
	calls := map[string]int{}
	require.Eventually(t, func() bool {
		clear(calls)
		done := false
		for _, s := range n.h.spans.GetSpans() {
			if s.SpanContext.TraceID().String() != traceID {
				continue
			}
			done = done || s.Name == "job enhance_ticket"
			if s.SpanKind == trace.SpanKindClient {
				_, peer, _ := strings.Cut(s.Name, " ")
				calls[peer]++
			}
			for _, a := range s.Attributes {
				require.NotContains(t, a.Value.String(), "809", "%s of %s", a.Key, s.Name)
				require.NotContains(t, a.Value.String(), "/api/v3", "%s of %s", a.Key, s.Name)
			}
		}
		return done
	}, patience, 20*time.Millisecond)
	for peer, e := range n.all {
		require.Equal(t, len(e.heard()), calls[peer], peer)
	}
}

func TestOutboundRemembersWhenCertificatesExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := newOutbound(noop.NewTracerProvider().Tracer(""), nil, func() time.Time { return now })
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	require.Zero(t, testutil.CollectAndCount(o))
	client := srv.Client()
	client.Transport = o.transport("desk", client.Transport)
	resp, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.InDelta(t, float64(srv.Certificate().NotAfter.Unix()), testutil.ToFloat64(o), 0)

	// The first to expire counts, and a host that has not answered for a day does not.
	now = now.Add(23 * time.Hour)
	other := *srv.Certificate()
	other.NotAfter = now.Add(time.Hour)
	o.met("desk", "other.example.com", [][]*x509.Certificate{{&other}})
	require.InDelta(t, float64(other.NotAfter.Unix()), testutil.ToFloat64(o), 0)
	now = now.Add(25 * time.Hour)
	require.Zero(t, testutil.CollectAndCount(o))
	client.CloseIdleConnections()
}

// interrupt is how an operator ends a process.
const interrupt = syscall.SIGTERM

// freeAddress is an address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(nil)
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	return u.Host
}

// addressOf reads back what a process was told.
func addressOf(cmd *exec.Cmd, variable string) (address string) {
	for _, entry := range cmd.Env {
		if value, ok := strings.CutPrefix(entry, variable+"="); ok {
			address = value
		}
	}
	return address
}
