package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	answers  *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_webhook_requests_total",
			Help: "Webhook requests by endpoint and answer (accepted, duplicate, or the error code in lower case).",
		}, []string{"endpoint", "answer"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "aiagents_webhook_request_duration_seconds",
			Help:    "Time from the first byte of a webhook request to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
	}
}
