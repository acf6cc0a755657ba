package app

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/modules/enhancement/synthesis"
)

// snapshot is a collector of numbers that live elsewhere and are read when Prometheus asks.
type snapshot struct {
	descs []*prometheus.Desc
	read  func(ch chan<- prometheus.Metric)
}

// Describe implements prometheus.Collector.
func (s snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s snapshot) Collect(ch chan<- prometheus.Metric) { s.read(ch) }

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func is(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// poolStats are the connections of this process to the database.
func poolStats(pool *pgxpool.Pool) prometheus.Collector {
	connections := prometheus.NewDesc("aiagents_db_pool_connections", "Connections to the database by state (acquired, idle, opening).", []string{"state"}, nil)
	limit := prometheus.NewDesc("aiagents_db_pool_max_connections", "Connections that this process may open: database.max_conns.", nil, nil)
	acquires := prometheus.NewDesc("aiagents_db_pool_acquires_total", "Connections taken from the pool.", nil, nil)
	waits := prometheus.NewDesc("aiagents_db_pool_waits_total", "Connections that had to be waited for, because none was idle.", nil, nil)
	waited := prometheus.NewDesc("aiagents_db_pool_wait_seconds_total", "Time spent waiting for connections.", nil, nil)
	cancelled := prometheus.NewDesc("aiagents_db_pool_cancelled_acquires_total", "Waits for a connection that were given up.", nil, nil)
	return snapshot{[]*prometheus.Desc{connections, limit, acquires, waits, waited, cancelled}, func(ch chan<- prometheus.Metric) {
		s := pool.Stat()
		gauge(ch, connections, float64(s.AcquiredConns()), "acquired")
		gauge(ch, connections, float64(s.IdleConns()), "idle")
		gauge(ch, connections, float64(s.ConstructingConns()), "opening")
		gauge(ch, limit, float64(s.MaxConns()))
		counter(ch, acquires, float64(s.AcquireCount()))
		counter(ch, waits, float64(s.EmptyAcquireCount()))
		counter(ch, waited, s.EmptyAcquireWaitTime().Seconds())
		counter(ch, cancelled, float64(s.CanceledAcquireCount()))
	}}
}

// modelStats are what this process knows of the models without asking their server.
func modelStats(client *synthesis.Client) prometheus.Collector {
	configured := prometheus.NewDesc("aiagents_model_configured", "1 when a model is configured; without one, notes are facts-only.", nil, nil)
	breaker := prometheus.NewDesc("aiagents_model_breaker_state", "1 for the state in which the breaker of this process is (closed, half_open, open), 0 for the others.", []string{"state"}, nil)
	retirement := prometheus.NewDesc("aiagents_model_retirement_timestamp_seconds",
		"When the provider announced to shut a configured model down. Absent for models without an announcement.", []string{"model"}, nil)
	return snapshot{[]*prometheus.Desc{configured, breaker, retirement}, func(ch chan<- prometheus.Metric) {
		status := client.Status()
		gauge(ch, configured, is(status.Configured))
		for _, state := range []synthesis.BreakerState{synthesis.BreakerClosed, synthesis.BreakerHalfOpen, synthesis.BreakerOpen} {
			gauge(ch, breaker, is(status.Breaker == state), string(state))
		}
		dates := map[string]float64{} // a model may be named twice
		for _, m := range status.Models {
			if status.Configured && !m.Retirement.IsZero() {
				dates[m.Model] = float64(m.Retirement.Unix())
			}
		}
		for model, date := range dates {
			gauge(ch, retirement, date, model)
		}
	}}
}

// cacheStats are the look-ups of the caches in memory, by cache.
func cacheStats(caches map[string]func() (hits, misses uint64)) prometheus.Collector {
	requests := prometheus.NewDesc("aiagents_cache_requests_total", "Look-ups in a cache in memory, by cache and result (hit, miss).", []string{"cache", "result"}, nil)
	return snapshot{[]*prometheus.Desc{requests}, func(ch chan<- prometheus.Metric) {
		for _, name := range slices.Sorted(maps.Keys(caches)) {
			hits, misses := caches[name]()
			counter(ch, requests, float64(hits), name, "hit")
			counter(ch, requests, float64(misses), name, "miss")
		}
	}}
}
