package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// metric is one figure. Name and unit follow Go's benchmarks where they have a word for it.
type metric struct {
	Name   string   `json:"name"`
	Value  float64  `json:"value"`
	Unit   string   `json:"unit"`
	Better string   `json:"better,omitempty"` // higher or lower; "" for a figure that is neither
	Goal   *float64 `json:"goal,omitempty"`
}

// met reports whether a metric reaches its goal; ok is false where it has none.
func (m metric) met() (met, ok bool) {
	if m.Goal == nil {
		return false, false
	}
	if m.Better == "higher" {
		return m.Value >= *m.Goal, true
	}
	return m.Value <= *m.Goal, true
}

// share is what one process, or one group, used.
type share struct {
	Name    string        `json:"name"`
	CPU     time.Duration `json:"cpu_ns"`
	PeakRSS int64         `json:"peak_rss_bytes"`
}

// point is one quantile of a distribution.
type point struct {
	Percent float64 `json:"percent"`
	Millis  float64 `json:"ms"`
}

// curve is a distribution of latencies.
type curve struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
}

// grid is a table that is not a list of metrics.
type grid struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// result is what a scenario found.
type result struct {
	Scenario string   `json:"scenario"`
	About    string   `json:"about"`
	Build    string   `json:"build"`
	Notes    []string `json:"notes,omitempty"` // settings that differ from the product's defaults, and what was verified
	Metrics  []metric `json:"metrics"`
	Shares   []share  `json:"shares,omitempty"`
	Curves   []curve  `json:"curves,omitempty"`
	Grids    []grid   `json:"grids,omitempty"`
	Profiles []grid   `json:"profiles,omitempty"`
	Exceeded []string `json:"exceeded,omitempty"` // growth beyond its bound
}

func (r *result) add(name string, value float64, unit, better string) *metric {
	r.Metrics = append(r.Metrics, metric{Name: name, Value: value, Unit: unit, Better: better})
	return &r.Metrics[len(r.Metrics)-1]
}

func (m *metric) goal(v float64) { m.Goal = &v }

func (r *result) value(name string) (float64, bool) {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

func (r *result) addLatency(name string, h *hdrhistogram.Histogram) {
	c := curve{Name: name}
	for _, q := range []float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100} {
		c.Points = append(c.Points, point{q, millis(h, q)})
	}
	r.Curves = append(r.Curves, c)
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50", 50}, {"p95", 95}, {"p99", 99}} {
		r.add(name+" "+q.name, millis(h, q.q), "ms", "lower")
	}
}

// goalOf sets the goal of a metric that was added before.
func (r *result) goalOf(name string, v float64) {
	for i := range r.Metrics {
		if r.Metrics[i].Name == name {
			r.Metrics[i].goal(v)
		}
	}
}
