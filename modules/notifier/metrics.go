package notifier

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the module's numbers. Every series that can be known beforehand begins at 0, so that the first event is an
// increase and an alert can tell "none" from "unknown".
type metrics struct {
	posts      *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	duplicates prometheus.Counter
	fenced     prometheus.Counter
	refreshes  *prometheus.CounterVec
}

// postOutcomes are how an attempt to write a note can end.
var postOutcomes = []string{"posted", "adopted", "updated", "ambiguous", "waiting", "not_applied", "unresolved", "fenced"}

func newMetrics() *metrics {
	x := &metrics{
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_note_posts_total",
			Help: "Attempts to write a note by outcome: posted, adopted, updated, ambiguous, waiting, not_applied, unresolved, fenced.",
		}, []string{"outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "aiagents_desk_request_duration_seconds",
			Help:    "Duration of requests to service desks by operation and outcome.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30},
		}, []string{"operation", "outcome"}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_duplicate_notes_removed_total",
			Help: "Notes that stood on a ticket more than once and were removed.",
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_note_fenced_writes_total",
			Help: "Writes refused because a newer owner had taken over the enhancement.",
		}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_desk_token_refreshes_total",
			Help: "Refreshes of OAuth access tokens by outcome: ok, refused, limited, failed.",
		}, []string{"outcome"}),
	}
	for _, outcome := range postOutcomes {
		x.posts.WithLabelValues(outcome)
	}
	for _, operation := range []string{"add_note", "list_notes", "token"} {
		x.requests.WithLabelValues(operation, "ok")
	}
	for _, outcome := range []string{"ok", "refused", "limited", "failed"} {
		x.refreshes.WithLabelValues(outcome)
	}
	return x
}

// Collectors returns what the composition root registers with Prometheus.
func (m *Module) Collectors() []prometheus.Collector {
	x := m.metrics
	return []prometheus.Collector{x.posts, x.requests, x.duplicates, x.fenced, x.refreshes, desks{m}}
}

func (x *metrics) request(operation, outcome string, took time.Duration) {
	x.requests.WithLabelValues(operation, outcome).Observe(took.Seconds())
}

var (
	deskStates = prometheus.NewDesc("aiagents_desk_connections",
		"Desks that this process has called, by the state of their breaker: closed, half_open, open.", []string{"state"}, nil)
	deskOpen = prometheus.NewDesc("aiagents_desk_breaker_open",
		"1 while this process leaves the tenant's desk alone because it was down, 0 otherwise. Needs telemetry.tenant_label.", []string{"tenant_id"}, nil)
)

// desks reports the breakers as they are when Prometheus asks.
type desks struct{ module *Module }

// Describe implements prometheus.Collector.
func (desks) Describe(ch chan<- *prometheus.Desc) {
	ch <- deskStates
	ch <- deskOpen
}

// Collect implements prometheus.Collector.
func (d desks) Collect(ch chan<- prometheus.Metric) {
	states := map[string]float64{"closed": 0, "half_open": 0, "open": 0}
	open := map[string]float64{} // by label, which several tenants may share
	for tenantID, state := range d.module.breakers() {
		states[state]++
		if label, on := d.module.deps.TenantLabel(tenantID); on {
			open[label] = max(open[label], 0)
			if state != "closed" {
				open[label] = 1
			}
		}
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(deskStates, prometheus.GaugeValue, n, state)
	}
	for label, is := range open {
		ch <- prometheus.MustNewConstMetric(deskOpen, prometheus.GaugeValue, is, label)
	}
}

// breakers are the states of all desks that this process knows, by tenant.
func (m *Module) breakers() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make(map[string]string, len(m.links))
	for tenantID, l := range m.links {
		states[tenantID] = l.breaker.state()
	}
	return states
}
