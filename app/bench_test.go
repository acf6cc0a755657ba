package app

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// BenchmarkWebhookIntake prints the median time of the 202: row and job committed, over loopback HTTP.
//
//	go test ./app -run '^$' -bench WebhookIntake -benchtime 500x
func BenchmarkWebhookIntake(b *testing.B) {
	h := newHarness(b, withRole("serve"), withConfig(func(c *Config) { c.Log.Level = "error" }))
	acme := h.tenant("acme", nil, nil)
	took := make([]time.Duration, 0, b.N)
	for i := 0; b.Loop(); i++ {
		body := acme.body(fmt.Sprint(i), "subject", "VPN down", "description", "error 809 from 10.2.3.4")
		start := time.Now()
		a := acme.send(body)
		took = append(took, time.Since(start))
		require.Equal(b, http.StatusAccepted, a.status, a.body)
	}
	reportQuantiles(b, took)
}

// BenchmarkWebhookToNote prints the median time from the webhook to the note on the desk, with a model that answers at once.
//
//	go test ./app -run '^$' -bench WebhookToNote -benchtime 100x
func BenchmarkWebhookToNote(b *testing.B) {
	h := newHarness(b, withModel(openai.Options{Respond: answerFromEvidence}), withConfig(func(c *Config) {
		c.Log.Level = "error"
		c.Notifier.RequestsPerSecond = 10_000
	}))
	acme := h.tenant("acme", nil, nil)
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		start := time.Now()
		id := acme.file(servicedesk.Ticket{Subject: "VPN down", Description: "error 809 from 10.2.3.4"})
		took = append(took, acme.note(id).Added.Sub(start))
	}
	reportQuantiles(b, took)
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(.5), "ms-p50")
	b.ReportMetric(ms(.95), "ms-p95")
	b.ReportMetric(ms(.99), "ms-p99")
}
