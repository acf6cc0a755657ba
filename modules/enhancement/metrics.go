package enhancement

import (
	"github.com/prometheus/client_golang/prometheus"
)

// stageBuckets reach to 300 s and have edges at 60 s and 120 s, where the promises of the product lie.
var stageBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300}

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
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: stageBuckets}, labels)
	}
	return &metrics{
		outcomes: counter("aiagents_enhancements_total", "Finished enhancements by outcome (note, facts_only, skipped, recorded, failed).", "outcome"),
		total: histogram("aiagents_enhancement_duration_seconds",
			"Time from the acceptance of a webhook to the end of its enhancement.", "outcome"),
		stage: histogram("aiagents_enhancement_stage_duration_seconds",
			"Time of one stage of an enhancement (queue, fetch, gather, model, post).", "stage"),
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
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.outcomes, m.total, m.stage, m.source, m.retries, m.fenced, m.orphans, m.tokens, m.cost, m.calls,
	}
}
