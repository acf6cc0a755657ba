package enhancement

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/synthesis"
)

// stageBuckets reach to 300 s and have edges at 60 s and 120 s, where the promises of the product lie. A tenant's own
// histogram has the edges of the promises only.
var (
	stageBuckets  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300}
	tenantBuckets = []float64{30, 60, 120, 300}
)

// outcomes are how a run can end.
var outcomes = []string{"note", "facts_only", "skipped", "recorded", "failed"}

type metrics struct {
	outcomes *prometheus.CounterVec
	total    *prometheus.HistogramVec
	stage    *prometheus.HistogramVec
	source   *prometheus.CounterVec
	retries  *prometheus.CounterVec
	fenced   prometheus.Counter
	orphans  prometheus.Counter
	tokens   *prometheus.CounterVec
	cost     *prometheus.CounterVec
	calls    *prometheus.CounterVec
	models   modelNames

	tenantLabel    func(tenantID string) (string, bool)
	tenantOutcomes *prometheus.CounterVec
	tenantTotal    *prometheus.HistogramVec
	tenantTokens   *prometheus.CounterVec
	tenantCost     *prometheus.CounterVec
}

func newMetrics(tenantLabel func(string) (string, bool)) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		outcomes: counter("aiagents_enhancements_total", "Finished enhancements by outcome (note, facts_only, skipped, recorded, failed).", "outcome"),
		total: histogram("aiagents_enhancement_duration_seconds",
			"Time from the acceptance of a webhook to the end of its enhancement.", stageBuckets, "outcome"),
		stage: histogram("aiagents_enhancement_stage_duration_seconds",
			"Time of one stage of an enhancement (queue, fetch, gather, gather_<source>, model, post).", stageBuckets, "stage"),
		source: counter("aiagents_gather_results_total", "Results of the sources of context, by source and outcome.", "source", "outcome"),
		retries: counter("aiagents_enhancement_retries_total",
			"Attempts of an enhancement that ended in a retry or a wait, by kind of fault.", "kind"),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_enhancement_fenced_total", Help: "Attempts that stopped because a newer owner had claimed the enhancement.",
		}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_enhancement_orphans_total", Help: "Pending enhancements found without a living job and queued again.",
		}),
		tokens: counter("aiagents_model_tokens_total", "Tokens used by model and kind (prompt, cached, completion).", "model", "kind"),
		cost:   counter("aiagents_model_cost_usd_total", "Cost of model calls in US dollars at the price of the day, by model.", "model"),
		calls:  counter("aiagents_model_calls_total", "Calls of a model by model and outcome.", "model", "outcome"),

		tenantLabel:    tenantLabel,
		tenantOutcomes: counter("aiagents_tenant_enhancements_total", "Finished enhancements by tenant and outcome. Needs telemetry.tenant_label.", "tenant_id", "outcome"),
		tenantTotal: histogram("aiagents_tenant_enhancement_duration_seconds",
			"Time from the acceptance of a webhook to the end of its enhancement, by tenant. Needs telemetry.tenant_label.", tenantBuckets, "tenant_id"),
		tenantTokens: counter("aiagents_tenant_model_tokens_total", "Tokens used by tenant. Needs telemetry.tenant_label.", "tenant_id"),
		tenantCost:   counter("aiagents_tenant_model_cost_usd_total", "Cost of model calls in US dollars by tenant. Needs telemetry.tenant_label.", "tenant_id"),
	}
	m.begin()
	return m
}

// begin makes every series that can be known beforehand start at 0, so that the first failure is an increase and an alert can
// tell "none" from "unknown".
func (m *metrics) begin() {
	for _, outcome := range outcomes {
		m.outcomes.WithLabelValues(outcome)
		m.total.WithLabelValues(outcome)
	}
	for _, stage := range []string{"queue", "fetch", "gather", "model", "post"} {
		m.stage.WithLabelValues(stage)
	}
	for _, source := range sourceNames {
		m.stage.WithLabelValues("gather_" + source)
		for _, outcome := range []evidence.Outcome{evidence.Found, evidence.Nothing, evidence.Failed, evidence.TimedOut, evidence.NotConfigured} {
			m.source.WithLabelValues(source, string(outcome))
		}
	}
	for _, kind := range []fault.Kind{fault.Internal, fault.Unauthenticated, fault.Forbidden, fault.Limited, fault.Unavailable} {
		m.retries.WithLabelValues(kind.String())
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.outcomes, m.total, m.stage, m.source, m.retries, m.fenced, m.orphans, m.tokens, m.cost, m.calls,
		m.tenantOutcomes, m.tenantTotal, m.tenantTokens, m.tenantCost,
	}
}

// ended counts a run that reached its end.
func (m *metrics) ended(tenantID, outcome string, took time.Duration) {
	m.outcomes.WithLabelValues(outcome).Inc()
	m.total.WithLabelValues(outcome).Observe(took.Seconds())
	if label, on := m.tenantLabel(tenantID); on {
		for _, o := range outcomes {
			m.tenantOutcomes.WithLabelValues(label, o)
		}
		m.tenantOutcomes.WithLabelValues(label, outcome).Inc()
		m.tenantTotal.WithLabelValues(label).Observe(took.Seconds())
	}
}

// called counts what calls of models used.
func (m *metrics) called(tenantID string, calls []synthesis.Call) {
	label, on := m.tenantLabel(tenantID)
	for _, c := range calls {
		model := m.models.label(c.Model)
		m.calls.WithLabelValues(model, string(c.Outcome)).Inc()
		m.tokens.WithLabelValues(model, "prompt").Add(float64(c.PromptTokens))
		m.tokens.WithLabelValues(model, "cached").Add(float64(c.CachedTokens))
		m.tokens.WithLabelValues(model, "completion").Add(float64(c.CompletionTokens))
		m.cost.WithLabelValues(model).Add(c.CostUSD)
		if on {
			m.tenantTokens.WithLabelValues(label).Add(float64(c.PromptTokens + c.CompletionTokens))
			m.tenantCost.WithLabelValues(label).Add(c.CostUSD)
		}
	}
}

// maxModels bounds the label model: tenants name their own models, and nobody needs to tell so many apart.
const maxModels = 50

// modelNames are the models that metrics tell apart; further ones are "other".
type modelNames struct {
	mu    sync.Mutex
	known map[string]bool
}

func (n *modelNames) label(model string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[string]bool{}
	}
	if !n.known[model] {
		if len(n.known) >= maxModels {
			return "other"
		}
		n.known[model] = true
	}
	return model
}
