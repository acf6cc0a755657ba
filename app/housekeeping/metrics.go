package housekeeping

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	lastSuccess = prometheus.NewDesc("aiagents_housekeeping_last_success_timestamp_seconds",
		"Unix time at which a periodic task last ended well. Absent until it did once, and while it is switched off.", []string{"task"}, nil)
	lastFailed = prometheus.NewDesc("aiagents_housekeeping_last_run_failed",
		"1 when the last run of a periodic task failed, else 0. Absent while it is switched off.", []string{"task"}, nil)
	interval = prometheus.NewDesc("aiagents_housekeeping_interval_seconds",
		"How often a periodic task is to run. Absent while it is switched off.", []string{"task"}, nil)
)

// The bounds of what a scrape may cost.
const (
	scrapeEvery   = 5 * time.Second
	scrapeTimeout = 2 * time.Second
)

// seen is the last answer of the database, for scrapes that come close together.
type seen struct {
	mu   sync.Mutex
	at   time.Time
	list []Status
	err  error
}

// Describe implements prometheus.Collector.
func (m *Module) Describe(ch chan<- *prometheus.Desc) {
	ch <- lastSuccess
	ch <- lastFailed
	ch <- interval
}

// Collect implements prometheus.Collector. It reads the table, so every process reports the same, whichever ran a task.
func (m *Module) Collect(ch chan<- prometheus.Metric) {
	list, err := m.Recent()
	if err != nil {
		return // the queue's own metrics say that the database is away
	}
	gauge := func(d *prometheus.Desc, value float64, task string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, task)
	}
	for _, s := range list {
		if s.EverySeconds == 0 {
			continue
		}
		gauge(interval, s.EverySeconds, s.Task)
		if s.LastSuccessAt != nil {
			gauge(lastSuccess, float64(s.LastSuccessAt.UnixMilli())/1000, s.Task)
		}
		failed := 0.0
		if s.LastResult == ResultFailed {
			failed = 1
		}
		gauge(lastFailed, failed, s.Task)
	}
}

// Recent is List, a few seconds old at most: for what asks often.
func (m *Module) Recent() ([]Status, error) {
	m.seen.mu.Lock()
	defer m.seen.mu.Unlock()
	if time.Since(m.seen.at) < scrapeEvery {
		return m.seen.list, m.seen.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // a scrape brings no context
	defer cancel()
	m.seen.list, m.seen.err = m.List(ctx)
	m.seen.at = time.Now()
	return m.seen.list, m.seen.err
}
