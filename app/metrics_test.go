package app

import (
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/tenant"
)

var update = flag.Bool("update", false, "write the list of metrics into docs/observability.md")

// withTraffic starts a role that names tenants and has seen everything once: a note by a model, a desk, a tenant with a budget.
func withTraffic(t *testing.T, options ...harnessOption) *harness {
	t.Helper()
	h := newHarness(t, append([]harnessOption{
		withModel(openai.Options{Respond: answerFromEvidence}),
		withConfig(func(c *Config) { c.Telemetry.TenantLabel = true }),
	}, options...)...)
	acme := h.tenant("acme", nil, func(in *tenant.CreateInput) {
		p := tenant.DefaultPreferences()
		p.DailyTokenBudget = 1
		in.Preferences = &p
	})
	acme.teach("800", "VPN error 809 after the update", "IPsec ports were blocked by the new rule; opened UDP 500 and 4500.")
	acme.note(acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "VPN error 809 since the update"}))
	acme.settled()
	code, _, errOut := h.cli("", "housekeeping", "run", "retain_history")
	require.Zero(t, code, errOut)
	require.Eventually(t, func() bool {
		return strings.Contains(h.metrics(), "aiagents_housekeeping_last_success_timestamp_seconds{")
	}, patience, 100*time.Millisecond)
	h.p.tel.outbound.met("desk", "desk.example.com", [][]*x509.Certificate{{{NotAfter: time.Now().Add(time.Hour)}}})
	require.Eventually(t, h.p.beats.leads, patience, 10*time.Millisecond)
	require.NoError(t, h.p.survey.look(t.Context()))
	return h
}

// collectors are all collectors of a role that are ours.
func (h *harness) collectors() []prometheus.Collector {
	all := append(h.p.system.collectors(), h.p.tel.outbound)
	if h.p.beats != nil {
		all = append(append(all, h.p.beats.collectors()...), h.p.survey)
	}
	return append(all, newTailSampler(nil, h.cfg.Telemetry).dropped)
}

func TestMetricsFollowTheNamingRules(t *testing.T) {
	t.Parallel()
	h := withTraffic(t)
	problems, err := testutil.GatherAndLint(h.p.tel.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	bad, err := promlint.NewWithMetricFamilies([]*dto.MetricFamily{counterFamily("aiagents_things")}).Lint()
	require.NoError(t, err)
	require.NotEmpty(t, bad, "the check finds what it should")
}

func counterFamily(name string) *dto.MetricFamily {
	help, kind := "Things.", dto.MetricType_COUNTER
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{{Counter: &dto.Counter{}}}}
}

// boundedLabels are the labels that there are. A new one needs a reason why its values are few.
var boundedLabels = []string{
	"answer", "cache", "change", "endpoint", "feed", "kind", "model", "operation", "outcome", "peer", "result", "source", "stage", "state", "task",
	"tenant_id", "version", "le",
}

func TestEveryLabelIsBounded(t *testing.T) {
	t.Parallel()
	h := withTraffic(t)
	families, err := h.p.tel.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "aiagents_") {
			continue
		}
		require.Less(t, len(family.GetMetric()), 100, family.GetName())
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				require.Contains(t, boundedLabels, label.GetName(), family.GetName())
			}
		}
	}
}

const (
	listBegins = "checked by the same test -->\n"
	listEnds   = "<!-- end of metrics -->"
)

// The document lists exactly what a role exports, with the help of the source.
func TestTheListOfMetrics(t *testing.T) {
	t.Parallel()
	h := withTraffic(t)
	raw, err := os.ReadFile("../docs/observability.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), listBegins)
	require.True(t, found)
	written, after, found := strings.Cut(rest, listEnds)
	require.True(t, found)
	want := metricTable(t, h)
	if *update {
		require.NoError(t, os.WriteFile("../docs/observability.md", []byte(before+listBegins+want+listEnds+after), 0o600))
		return
	}
	require.Equal(t, want, written, "run: go test ./app -run TestTheListOfMetrics -update")
}

var describedMetric = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// metricTable takes names, help and labels from the descriptions, and the types from what is really exported: a metric that
// nothing ever sets has none, and fails here.
func metricTable(t *testing.T, h *harness) string {
	t.Helper()
	types := map[string]string{
		"aiagents_trace_spans_dropped_total":             "counter", // only with an exporter, which is the process's own
		"aiagents_canary_last_success_timestamp_seconds": "gauge",   // only where the canary is switched on
		"aiagents_canary_duration_seconds":               "gauge",
	}
	families, err := h.p.tel.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		types[family.GetName()] = strings.ToLower(family.GetType().String())
	}
	var rows []string
	for _, c := range h.collectors() {
		ch := make(chan *prometheus.Desc, 100)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			m := describedMetric.FindStringSubmatch(d.String())
			require.NotNil(t, m, d.String())
			require.NotEmpty(t, types[m[1]], "nothing exports %s", m[1])
			labels := "none"
			if m[3] != "" {
				labels = "`" + strings.ReplaceAll(m[3], ",", "`, `") + "`"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", m[1], types[m[1]], labels, strings.ReplaceAll(m[2], `\"`, `"`)))
		}
	}
	slices.Sort(rows)
	require.Equal(t, slices.Compact(slices.Clone(rows)), rows, "no metric is described twice")
	return "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "")
}

func TestMetricsNameTenantsOnlyWhenTheyMay(t *testing.T) {
	t.Parallel()
	quiet := newHarness(t)
	acme := quiet.tenant("acme", nil, nil)
	acme.note(acme.file(servicedesk.Ticket{Subject: "VPN", Description: "error 809"}))
	acme.settled()
	require.NotContains(t, quiet.metrics(), "acme")
	require.NotContains(t, quiet.metrics(), "tenant_id")

	h := withTraffic(t, withConfig(func(c *Config) { c.Telemetry.TenantLimit = 1 }))
	second := h.tenant("bravo", nil, nil)
	second.note(second.file(servicedesk.Ticket{Subject: "VPN", Description: "error 809"}))
	second.settled()
	require.NoError(t, h.p.survey.look(t.Context()))
	page := h.metrics()
	for _, want := range []string{
		`aiagents_tenant_webhooks_accepted_total{tenant_id="acme"} 2`,
		`aiagents_tenant_webhooks_accepted_total{tenant_id="other"} 1`,
		`aiagents_tenant_enhancements_total{outcome="note",tenant_id="acme"} 1`,
		`aiagents_tenant_enhancement_duration_seconds_bucket{tenant_id="acme",le="120"} 1`,
		`aiagents_desk_breaker_open{tenant_id="acme"} 0`,
		`aiagents_tenant_desk_paused{tenant_id="other"} 0`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "bravo")
	require.Regexp(t, `aiagents_tenant_budget_used_ratio\{tenant_id="acme"\} [1-9]`, page)
	require.Regexp(t, `aiagents_tenant_model_cost_usd_total\{tenant_id="acme"\} [0-9.e-]*[1-9]`, page)
}

func TestTheSurveyTellsWhatOnlyALookAtAllTenantsCan(t *testing.T) {
	t.Parallel()
	h := withTraffic(t)
	h.tenant("idle", nil, nil)
	code, _, errOut := h.cli("", "tenant", "disable", "idle")
	require.Zero(t, code, errOut)
	refused := h.tenant("refused", nil, nil)
	refused.desk.SetAPIKey("another")
	require.Error(t, h.p.system.notes.Probe(t.Context(), "refused"))
	_, err := h.p.system.notes.GetRequest(t.Context(), "refused", "1")
	require.Error(t, err)
	scanAll[string](h, `UPDATE note_posts SET state = 'posting', note_id = '', post_started_at = now() - interval '10 minutes' RETURNING state`)
	require.NoError(t, h.p.survey.look(t.Context()))
	page := h.metrics()
	for _, want := range []string{
		`aiagents_tenants{state="enabled"} 2`, `aiagents_tenants{state="disabled"} 1`, `aiagents_desks_paused 1`,
		`aiagents_notes_unsettled 1`, `aiagents_budget_exceeded_tenants 1`,
	} {
		require.Contains(t, page, want)
	}
	require.Regexp(t, `aiagents_notes_unsettled_oldest_age_seconds 6\d\d\.`, page)
	require.Regexp(t, `aiagents_budget_highest_used_ratio [1-9]`, page)

	h.p.beats.leading.Store(false)
	require.NoError(t, h.p.survey.look(t.Context()))
	require.NotContains(t, h.metrics(), "aiagents_survey_last_success_timestamp_seconds", "another worker reports it now")
}

func TestEveryRoleReportsQueueAndWorkers(t *testing.T) {
	t.Parallel()
	serve := newHarness(t, withRole("serve"))
	require.Contains(t, serve.metrics(), "aiagents_workers_alive 0")
	newHarness(t, withRole("work"), withDatabase(serve))
	newHarness(t, withRole("work"), withDatabase(serve))
	require.Eventually(t, func() bool { return strings.Contains(serve.metrics(), "aiagents_workers_alive 2") }, patience, 100*time.Millisecond)
	require.Contains(t, serve.metrics(), `aiagents_queue_depth{state="running"} `)
	require.Contains(t, serve.metrics(), `aiagents_db_pool_max_connections 10`)
	require.Contains(t, serve.metrics(), `aiagents_cache_requests_total{cache="tenant",result="hit"} `)
}

func TestOneWorkerLeads(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	of := func(name string) *heartbeats {
		return newHeartbeats(d.DB, name, 3*time.Second, time.Hour, &runningJobs{}, slog.New(slog.DiscardHandler))
	}
	first, second := of("a"), of("b")
	require.NoError(t, first.beat(t.Context()))
	require.NoError(t, second.beat(t.Context()))
	require.True(t, first.leads())
	require.False(t, second.leads())
	first.leave(t.Context())
	require.NoError(t, second.beat(t.Context()))
	require.True(t, second.leads(), "the next one takes over")
}

func TestTheModelsStateIsExported(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{}))
	page := h.metrics()
	require.Contains(t, page, "aiagents_model_configured 1")
	require.Contains(t, page, `aiagents_model_breaker_state{state="closed"} 1`)
	require.Contains(t, page, `aiagents_model_breaker_state{state="open"} 0`)
	shutdown := time.Date(2027, 1, 14, 0, 0, 0, 0, time.UTC).Unix()
	require.Contains(t, page, fmt.Sprintf(`aiagents_model_retirement_timestamp_seconds{model="gpt-4o-mini"} %g`, float64(shutdown)))
	none := newHarness(t)
	require.Contains(t, none.metrics(), "aiagents_model_configured 0")
	require.NotContains(t, none.metrics(), "aiagents_model_retirement")
}
