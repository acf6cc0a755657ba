package feed

import (
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/internal/fault"
)

type metrics struct {
	runs       *prometheus.CounterVec
	failures   *prometheus.CounterVec
	rows       *prometheus.CounterVec
	reconciled prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		runs:     counter("aiagents_feed_runs_total", "Runs of a feed, a tenant each, by feed and outcome (ok, partial, failed).", "feed", "outcome"),
		failures: counter("aiagents_feed_failures_total", "Failed runs of a feed by kind of fault.", "feed", "kind"),
		rows:     counter("aiagents_feed_rows_total", "Rows that a feed added, updated or removed.", "feed", "change"),
		reconciled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_feed_reconciled_tickets_total", Help: "Tickets whose webhook never came, found on the desk and queued.",
		}),
	}
	// Every series begins at 0, so that the first failure is an increase.
	for _, kind := range []string{KindTickets, KindSolutions, KindReconcile} {
		for _, outcome := range []string{OutcomeOK, OutcomePartial, OutcomeFailed} {
			m.runs.WithLabelValues(kind, outcome)
		}
		for _, k := range []fault.Kind{fault.Internal, fault.Unauthenticated, fault.Forbidden, fault.Limited, fault.Unavailable} {
			m.failures.WithLabelValues(kind, k.String())
		}
		for _, change := range []string{"added", "updated", "removed"} {
			m.rows.WithLabelValues(kind, change)
		}
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.failures, m.rows, m.reconciled}
}

func (m *metrics) ended(kind, outcome string, err error, c Counts) {
	m.runs.WithLabelValues(kind, outcome).Inc()
	if outcome == OutcomeFailed {
		m.failures.WithLabelValues(kind, fault.KindOf(err).String()).Inc()
	}
	for change, n := range map[string]int{"added": c.Added, "updated": c.Updated, "removed": c.Removed} {
		m.rows.WithLabelValues(kind, change).Add(float64(n))
	}
	m.reconciled.Add(float64(c.Queued))
}
