package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"aiagents/db"
)

// silentBeats is how many heartbeats a worker may miss before its jobs are given to others.
const silentBeats = 4

// reclaimLock lets one worker sweep at a time.
const reclaimLock = 0x61695265636c616d

// heartbeats says that this worker lives, and gives the jobs of silent workers back to the queue. River's own rescuer goes by
// a job's age alone, so it has to wait longer than the longest job; a heartbeat tells within seconds.
//
// It is safe to be wrong about a silent worker: the row of an enhancement fences whoever comes back.
type heartbeats struct {
	db        *db.DB
	clientID  string
	interval  time.Duration
	logger    *slog.Logger
	reclaimed prometheus.Counter
	// leading is set while this worker is the first by name of those alive.
	leading atomic.Bool

	// last is this worker's last beat that succeeded; others are judged from judgeFrom on. After a long outage of the
	// database all workers look silent for a moment, so nobody sweeps before the others had the time to beat again. A short
	// one, in which nobody can have become silent, must not hold up the jobs of those who really died.
	last, judgeFrom time.Time
}

func newHeartbeats(d *db.DB, clientID string, interval time.Duration, logger *slog.Logger) *heartbeats {
	return &heartbeats{
		db: d, clientID: clientID, interval: interval, logger: logger,
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_jobs_reclaimed_total", Help: "Running jobs taken from silent workers and queued again.",
		}),
	}
}

func (h *heartbeats) collectors() []prometheus.Collector {
	return []prometheus.Collector{h.reclaimed}
}

// leads tells whether this worker is the one to do what one worker does for all. Two may think so for a moment.
func (h *heartbeats) leads() bool { return h.leading.Load() }

// run beats until ctx ends, and says goodbye then, so that a restart hands over at once.
func (h *heartbeats) run(ctx context.Context) {
	ticker := time.NewTicker(h.interval)
	defer ticker.Stop()
	for {
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "heartbeat failed", "error", err)
		}
		select {
		case <-ctx.Done():
			h.leave(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

func (h *heartbeats) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.interval)
	defer cancel()
	now := time.Now()
	if now.Sub(h.last) > h.silence()-h.interval {
		h.judgeFrom = now.Add(2 * h.interval)
	}
	var reclaimed int64
	err := h.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var leads bool
		err := tx.QueryRow(ctx, `
			WITH beat AS (
			  INSERT INTO worker_heartbeats (client_id, seen_at) VALUES ($1, now())
			  ON CONFLICT (client_id) DO UPDATE SET seen_at = now())
			SELECT NOT EXISTS (
			  SELECT 1 FROM worker_heartbeats
			  WHERE client_id COLLATE "C" < $1 COLLATE "C" AND seen_at > now() - $2::interval)`, h.clientID, h.silence()).Scan(&leads)
		if err != nil {
			return fmt.Errorf("beat: %w", err)
		}
		h.leading.Store(leads)
		if now.Before(h.judgeFrom) {
			return nil
		}
		reclaimed, err = h.sweepTx(ctx, tx)
		return err
	})
	if err != nil {
		h.leading.Store(false)
		return err
	}
	h.last = now
	if reclaimed > 0 {
		h.reclaimed.Add(float64(reclaimed))
		h.logger.WarnContext(ctx, "jobs of silent workers were queued again", "jobs", reclaimed)
	}
	return nil
}

func (h *heartbeats) silence() time.Duration { return silentAfter(h.interval) }

// silentAfter is how long a worker may be silent before it is taken for dead.
func silentAfter(beat time.Duration) time.Duration { return silentBeats * beat }

// sweepTx hands on the jobs of workers that are silent. The subquery is checked again under the row lock: a job that its
// worker finished in the meantime is no longer running.
func (h *heartbeats) sweepTx(ctx context.Context, tx pgx.Tx) (int64, error) {
	var mine bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(reclaimLock)).Scan(&mine); err != nil || !mine {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE river_job SET state = 'available', scheduled_at = now()
		WHERE id IN (
		  SELECT j.id FROM river_job j
		  LEFT JOIN worker_heartbeats h ON h.client_id = j.attempted_by[array_upper(j.attempted_by, 1)]
		  WHERE j.state = 'running' AND j.attempted_at < now() - $1::interval
		    AND (h.client_id IS NULL OR h.seen_at < now() - $1::interval)
		  FOR UPDATE OF j SKIP LOCKED)
		  AND state = 'running'`, h.silence())
	if err != nil {
		return 0, fmt.Errorf("reclaim jobs: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM worker_heartbeats WHERE seen_at < now() - interval '1 hour'`); err != nil {
		return 0, fmt.Errorf("forget workers: %w", err)
	}
	return tag.RowsAffected(), nil
}

func (h *heartbeats) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.interval)
	defer cancel()
	err := h.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM worker_heartbeats WHERE client_id = $1`, h.clientID)
		return err
	})
	if err != nil {
		h.logger.WarnContext(ctx, "heartbeat could not be taken back; the jobs of this worker wait a little longer", "error", err)
	}
}

// countWorkers counts the workers that are not silent.
func countWorkers(ctx context.Context, d *db.DB, silence time.Duration) (n int64, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM worker_heartbeats WHERE seen_at > now() - $1::interval`, silence).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count workers: %w", err)
	}
	return n, nil
}
