package eval

import (
	"math"
	"slices"
	"time"
)

// Metrics are means over queries. Gains are binary; a query's ideal ranking has all its relevant documents first.
type Metrics struct {
	Tenant    string  `json:"tenant"`
	Documents int     `json:"documents"`
	Queries   int     `json:"queries"`
	MRR10     float64 `json:"mrr_at_10"`
	MAP100    float64 `json:"map_at_100"`
	P1        float64 `json:"p_at_1"`
	Recall5   float64 `json:"recall_at_5"`
	Recall10  float64 `json:"recall_at_10"`
	NDCG10    float64 `json:"ndcg_at_10"`
	MedianMS  float64 `json:"median_ms"`
	P95MS     float64 `json:"p95_ms"`
}

// measured is one query's ranking against its labels.
type measured struct {
	tenant   string
	hits     []bool // of each result, best first
	relevant int
	took     time.Duration
}

func summarise(tenant string, documents int, queries []measured) Metrics {
	m := Metrics{Tenant: tenant, Documents: documents, Queries: len(queries)}
	if len(queries) == 0 {
		return m
	}
	times := make([]time.Duration, 0, len(queries))
	for _, q := range queries {
		m.MRR10 += q.reciprocalRank(10)
		m.MAP100 += q.averagePrecision(100)
		m.P1 += q.recall(1) * float64(q.relevant)
		m.Recall5 += q.recall(5)
		m.Recall10 += q.recall(10)
		m.NDCG10 += q.ndcg(10)
		times = append(times, q.took)
	}
	for _, sum := range []*float64{&m.MRR10, &m.MAP100, &m.P1, &m.Recall5, &m.Recall10, &m.NDCG10} {
		*sum /= float64(len(queries))
	}
	m.MedianMS, m.P95MS = percentile(times, 0.5), percentile(times, 0.95)
	return m
}

func (q measured) first(k int) []bool { return q.hits[:min(k, len(q.hits))] }

func (q measured) reciprocalRank(k int) float64 {
	if i := slices.Index(q.first(k), true); i >= 0 {
		return 1 / float64(i+1)
	}
	return 0
}

func (q measured) recall(k int) float64 {
	found := 0
	for _, hit := range q.first(k) {
		if hit {
			found++
		}
	}
	return float64(found) / float64(q.relevant)
}

func (q measured) averagePrecision(k int) float64 {
	found, sum := 0, 0.0
	for i, hit := range q.first(k) {
		if hit {
			found++
			sum += float64(found) / float64(i+1)
		}
	}
	return sum / float64(min(q.relevant, k))
}

func (q measured) ndcg(k int) float64 {
	gain, ideal := 0.0, 0.0
	for i, hit := range q.first(k) {
		if hit {
			gain += 1 / math.Log2(float64(i)+2)
		}
	}
	for i := range min(q.relevant, k) {
		ideal += 1 / math.Log2(float64(i)+2)
	}
	return gain / ideal
}

// percentile takes the nearest rank, in milliseconds.
func percentile(times []time.Duration, p float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[int(math.Ceil(p*float64(len(sorted))))-1].Microseconds()) / 1000
}
