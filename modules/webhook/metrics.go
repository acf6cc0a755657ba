package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	answers  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	tenants  *prometheus.CounterVec
}

// endpoints and answers are all that the labels can be: every series begins at 0, so that the first refusal is an increase.
var (
	endpoints = []string{"event", "resolved_ticket"}
	answers   = []string{
		"accepted", "duplicate", "webhook_validation_failed", "invalid_payload", "payload_too_large", "unsupported_media_type",
		"rate_limited", "queue_unavailable", "internal_error",
	}
)

func newMetrics() *metrics {
	x := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_webhook_requests_total",
			Help: "Webhook requests by endpoint and answer (accepted, duplicate, or the error code in lower case).",
		}, []string{"endpoint", "answer"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "aiagents_webhook_request_duration_seconds",
			Help:    "Time from the first byte of a webhook request to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
		tenants: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aiagents_tenant_webhooks_accepted_total",
			Help: "Webhooks answered 202, duplicates too, by tenant. Needs telemetry.tenant_label.",
		}, []string{"tenant_id"}),
	}
	for _, endpoint := range endpoints {
		x.duration.WithLabelValues(endpoint)
		for _, answer := range answers {
			x.answers.WithLabelValues(endpoint, answer)
		}
	}
	return x
}
