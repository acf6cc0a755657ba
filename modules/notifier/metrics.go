package notifier

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the module's numbers. The tenant is a label only where an alert must name it.
type metrics struct {
	posts      *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	duplicates prometheus.Counter
	fenced     prometheus.Counter
	refreshes  *prometheus.CounterVec
	open       *prometheus.GaugeVec
	paused     *prometheus.GaugeVec
}

func newMetrics() *metrics {
	return &metrics{
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
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "aiagents_desk_breaker_open",
			Help: "1 while this process makes no calls to the tenant's desk because it was down. Absent otherwise.",
		}, []string{"tenant_id"}),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "aiagents_desk_paused",
			Help: "1 while the connection to the tenant's desk is paused because it refused our credentials. Absent otherwise.",
		}, []string{"tenant_id"}),
	}
}

// Collectors returns what the composition root registers with Prometheus.
func (m *Module) Collectors() []prometheus.Collector {
	x := m.metrics
	return []prometheus.Collector{x.posts, x.requests, x.duplicates, x.fenced, x.refreshes, x.open, x.paused}
}

func (x *metrics) request(operation, outcome string, took time.Duration) {
	x.requests.WithLabelValues(operation, outcome).Observe(took.Seconds())
}

// flag sets a per-tenant gauge to 1 or removes its series, so that only tenants in trouble have one.
func flag(g *prometheus.GaugeVec, tenantID string, on bool) {
	if on {
		g.WithLabelValues(tenantID).Set(1)
		return
	}
	g.DeleteLabelValues(tenantID)
}
