package notifier

import (
	"testing"

	"aiagents/internal/simulator/servicedesk"
)

// BenchmarkPost is what writing one note costs beside the desk's own time: the simulator answers at once.
func BenchmarkPost(b *testing.B) {
	bench := newBench(b, options(servicedesk.OnPrem))
	bench.config.RequestsPerSecond = 1e6
	m := bench.module()
	requests := make([]PostRequest, b.N)
	for i := range requests {
		requests[i] = bench.request(bench.ticket())
	}
	b.ResetTimer()
	for _, r := range requests {
		if _, err := m.Post(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
