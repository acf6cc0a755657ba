package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

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
	db       *db.DB
	clientID string
	interval time.Duration
	// stuckAfter is the age at which a running job of a note has hung or was forgotten, even if its worker lives.
	stuckAfter time.Duration
	logger     *slog.Logger
	reclaimed  prometheus.Counter
	suspended  prometheus.Counter
	running    *runningJobs
	// missing are the jobs that were this worker's at the last beat by the database alone.
	missing map[int64]bool
	// leading is set while this worker is the first by name of those alive.
	leading atomic.Bool

	// ticked is when run last came by, whatever became of the beat: a gap means that this process stood still.
	ticked time.Time

	// last is this worker's last beat that succeeded; others are judged from judgeFrom on. After a long outage of the
	// database all workers look silent for a moment, so nobody sweeps before the others had the time to beat again. A short
	// one, in which nobody can have become silent, must not hold up the jobs of those who really died.
	last, judgeFrom time.Time
}

func newHeartbeats(d *db.DB, clientID string, interval, stuckAfter time.Duration, running *runningJobs, logger *slog.Logger) *heartbeats {
	return &heartbeats{
		db: d, clientID: clientID, interval: interval, stuckAfter: stuckAfter, running: running, logger: logger,
		suspended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_jobs_suspended_total", Help: "Running jobs given up because this worker had stood still or was cut off for longer than its lease.",
		}),
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_jobs_reclaimed_total", Help: "Running jobs taken from silent workers and queued again.",
		}),
	}
}

func (h *heartbeats) collectors() []prometheus.Collector {
	return []prometheus.Collector{h.reclaimed, h.suspended}
}

// leads tells whether this worker is the one to do what one worker does for all. Two may think so for a moment.
func (h *heartbeats) leads() bool { return h.leading.Load() }

// run beats until ctx ends, and says goodbye then, so that a restart hands over at once.
func (h *heartbeats) run(ctx context.Context) {
	ticker := time.NewTicker(h.interval)
	defer ticker.Stop()
	for {
		h.notice(ctx, time.Now())
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

// notice gives up all running jobs when this process stood still for longer than its lease (stopped, or its machine paused):
// others have taken them over by now, and must not be raced to the model. It goes before the beat, which may take a while.
func (h *heartbeats) notice(ctx context.Context, now time.Time) {
	before := h.ticked
	h.ticked = now
	if before.IsZero() || now.Sub(before) <= h.silence() {
		return
	}
	h.giveUp(ctx, h.running.ids(), "this worker stood still for longer than its lease; its jobs are left to others")
}

func (h *heartbeats) giveUp(ctx context.Context, jobs []int64, why string) {
	if n := h.running.cancel(jobs); n > 0 {
		h.suspended.Add(float64(n))
		h.logger.WarnContext(ctx, "jobs were given up", "jobs", n, "reason", why)
	}
}

func (h *heartbeats) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.interval)
	defer cancel()
	now := time.Now()
	if now.Sub(h.last) > h.silence()-h.interval {
		h.judgeFrom = now.Add(2 * h.interval)
	}
	var reclaimed, returned int64
	var lost []int64
	var missing map[int64]bool
	err := h.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var leads, expired bool
		err := tx.QueryRow(ctx, `
			WITH beat AS (
			  INSERT INTO worker_heartbeats (client_id, seen_at) VALUES ($1, now())
			  ON CONFLICT (client_id) DO UPDATE SET seen_at = now())
			SELECT NOT EXISTS (
			         SELECT 1 FROM worker_heartbeats
			         WHERE client_id COLLATE "C" < $1 COLLATE "C" AND seen_at > now() - $2::interval),
			       EXISTS (SELECT 1 FROM worker_heartbeats WHERE client_id = $1 AND seen_at <= now() - $2::interval)`,
			h.clientID, h.silence()).Scan(&leads, &expired)
		if err != nil {
			return fmt.Errorf("beat: %w", err)
		}
		h.leading.Store(leads)
		if expired {
			if lost, err = h.lostTx(ctx, tx); err != nil {
				return err
			}
		}
		if missing, returned, err = h.returnMissingTx(ctx, tx); err != nil {
			return err
		}
		reclaimed, err = h.sweepTx(ctx, tx, !now.Before(h.judgeFrom))
		return err
	})
	if err != nil {
		h.leading.Store(false)
		return err
	}
	h.last, h.missing = now, missing
	if returned > 0 {
		h.reclaimed.Add(float64(returned))
		h.logger.WarnContext(ctx, "jobs whose fetch was cut off were queued again", "jobs", returned)
	}
	h.giveUp(ctx, lost, "this worker was cut off for longer than its lease; jobs that others have taken over are left to them")
	if reclaimed > 0 {
		h.reclaimed.Add(float64(reclaimed))
		h.logger.WarnContext(ctx, "jobs of silent workers were queued again", "jobs", reclaimed)
	}
	return nil
}

func (h *heartbeats) silence() time.Duration { return silentAfter(h.interval) }

// silentAfter is how long a worker may be silent before it is taken for dead.
func silentAfter(beat time.Duration) time.Duration { return silentBeats * beat }

// lostTx lists the jobs that this worker believes to run and does not own any more. After an outage of the database that all
// workers saw, nobody has taken any, and what is in hand is worth keeping.
func (h *heartbeats) lostTx(ctx context.Context, tx pgx.Tx) ([]int64, error) {
	rows, err := tx.Query(ctx, `
		SELECT m.id FROM unnest($1::bigint[]) AS m (id)
		WHERE NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = m.id AND j.state = 'running'
		                  AND j.attempted_by[array_upper(j.attempted_by, 1)] = $2)`, h.running.ids(), h.clientID)
	if err != nil {
		return nil, fmt.Errorf("list lost jobs: %w", err)
	}
	lost, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list lost jobs: %w", err)
	}
	return lost, nil
}

// returnMissingTx queues the jobs again that the database took for this worker's on two beats in a row and that do not run here:
// the answer to a fetch was lost with its connection. One that has just ended is written down before the second beat.
func (h *heartbeats) returnMissingTx(ctx context.Context, tx pgx.Tx) (missing map[int64]bool, returned int64, err error) {
	rows, err := tx.Query(ctx, `
		SELECT id FROM river_job
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1 AND attempted_at < now() - $2::interval
		  AND id <> ALL ($3::bigint[])`, h.clientID, h.silence(), h.running.ids())
	if err != nil {
		return nil, 0, fmt.Errorf("list missing jobs: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, 0, fmt.Errorf("list missing jobs: %w", err)
	}
	missing = map[int64]bool{}
	var twice []int64
	for _, id := range ids {
		if missing[id] = true; h.missing[id] {
			twice = append(twice, id)
		}
	}
	if len(twice) == 0 {
		return missing, 0, nil
	}
	tag, err := tx.Exec(ctx, `
		UPDATE river_job SET state = 'available', scheduled_at = now()
		WHERE id = ANY ($1) AND state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $2`, twice, h.clientID)
	if err != nil {
		return nil, 0, fmt.Errorf("return missing jobs: %w", err)
	}
	return missing, tag.RowsAffected(), nil
}

// sweepTx hands on the jobs of workers that are silent. The subquery is checked again under the row lock: a job that its
// worker finished in the meantime is no longer running.
//
// It also makes jobs available whose waiting time is over. River's leader does that every five seconds by its own clock, and for
// some fifteen seconds after a leader's death nobody does; a note that waits out the quiet time has no such time to lose.
func (h *heartbeats) sweepTx(ctx context.Context, tx pgx.Tx, judge bool) (int64, error) {
	var mine bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(reclaimLock)).Scan(&mine); err != nil || !mine {
		return 0, err
	}
	_, err := tx.Exec(ctx, `
		UPDATE river_job SET state = 'available'
		WHERE id IN (
		  SELECT id FROM river_job
		  WHERE state IN ('retryable', 'scheduled') AND queue = $1 AND priority IN (1, 2, 3, 4) AND scheduled_at <= now()
		    AND unique_key IS NULL
		  ORDER BY priority, scheduled_at LIMIT 500 FOR UPDATE SKIP LOCKED)
		  AND state IN ('retryable', 'scheduled')`, river.QueueDefault)
	if err != nil {
		return 0, fmt.Errorf("make due jobs available: %w", err)
	}
	if !judge {
		return 0, nil
	}
	tag, err := tx.Exec(ctx, `
		UPDATE river_job SET state = 'available', scheduled_at = now()
		WHERE id IN (
		  SELECT j.id FROM river_job j
		  LEFT JOIN worker_heartbeats h ON h.client_id = j.attempted_by[array_upper(j.attempted_by, 1)]
		  WHERE j.state = 'running' AND j.attempted_at < now() - $1::interval
		    AND (h.client_id IS NULL OR h.seen_at < now() - $1::interval
		         OR j.queue = $2 AND j.attempted_at < now() - $3::interval)
		  FOR UPDATE OF j SKIP LOCKED)
		  AND state = 'running'`, h.silence(), river.QueueDefault, h.stuckAfter)
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
