package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/db"
)

// queueStates are the states in which a job still has work to do. Each is reported even when it has no job, so that an alert
// can tell "empty" from "unknown".
var queueStates = []string{"available", "retryable", "running", "scheduled"}

// queueStatsEvery bounds how often scrapes ask the database.
const queueStatsEvery = 2 * time.Second

var (
	queueDepth   = prometheus.NewDesc("aiagents_queue_depth", "Jobs in the queue by state. The state available counts what a worker could run now.", []string{"state"}, nil)
	queueAge     = prometheus.NewDesc("aiagents_queue_oldest_job_age_seconds", "Age of the oldest job by state, since it could have run; 0 when there is none.", []string{"state"}, nil)
	workersAlive = prometheus.NewDesc("aiagents_workers_alive", "Workers with a heartbeat within four intervals.", nil, nil)
	queueUp      = prometheus.NewDesc("aiagents_queue_up", "1 when the queue's state could be read.", nil, nil)
)

// queueStats reports depth and age of the queue, and who works it, from any role: they are read when Prometheus asks.
type queueStats struct {
	db *db.DB
	// silence is how long a worker may be silent before it is taken for dead.
	silence time.Duration

	mu      sync.Mutex
	at      time.Time
	last    []queueState
	workers int64
	err     error
}

type queueState struct {
	State string
	Depth int64
	Age   float64
}

// Describe implements prometheus.Collector.
func (q *queueStats) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueDepth
	ch <- queueAge
	ch <- queueUp
	ch <- workersAlive
}

// Collect implements prometheus.Collector.
func (q *queueStats) Collect(ch chan<- prometheus.Metric) {
	states, workers, err := q.read()
	up := 1.0
	if err != nil {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(queueUp, prometheus.GaugeValue, up)
	if err != nil {
		return
	}
	gauge(ch, workersAlive, float64(workers))
	for _, s := range states {
		ch <- prometheus.MustNewConstMetric(queueDepth, prometheus.GaugeValue, float64(s.Depth), s.State)
		ch <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, s.Age, s.State)
	}
}

func (q *queueStats) read() ([]queueState, int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.at) < queueStatsEvery {
		return q.last, q.workers, q.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout) // a scrape brings no context
	defer cancel()
	if q.last, q.err = readQueue(ctx, q.db); q.err == nil {
		q.workers, q.err = countWorkers(ctx, q.db, q.silence)
	}
	q.at = time.Now()
	return q.last, q.workers, q.err
}

// readQueue asks state by state, so that each is one range of River's fetching index however many finished jobs there are.
func readQueue(ctx context.Context, d *db.DB) (states []queueState, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT s.state, q.depth, q.age
			FROM unnest($1::text[]) AS s (state)
			CROSS JOIN LATERAL (
			  SELECT count(*) AS depth,
			         coalesce(greatest(extract(epoch FROM now() - min(scheduled_at)), 0), 0)::float8 AS age
			  FROM river_job WHERE state = s.state::river_job_state) q`, queueStates)
		if err != nil {
			return fmt.Errorf("read queue: %w", err)
		}
		states, err = pgx.CollectRows(rows, pgx.RowToStructByName[queueState])
		if err != nil {
			return fmt.Errorf("read queue: %w", err)
		}
		return nil
	})
	return states, err
}
