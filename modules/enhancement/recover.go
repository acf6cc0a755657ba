package enhancement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"aiagents/internal/fault"
)

// RecoverArgs are the arguments of the periodic job that looks for pending rows without a living job.
type RecoverArgs struct{}

// Kind names the job in the queue.
func (RecoverArgs) Kind() string { return "recover_enhancements" }

// InsertOpts keep one such job at a time.
func (RecoverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Priority: priorityHigh, UniqueOpts: river.UniqueOpts{ByPeriod: 10 * time.Second}}
}

// PeriodicJobs are the jobs that River's leader starts by the clock.
func (m *Module) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(m.cfg.OrphanAfter), func() (river.JobArgs, *river.InsertOpts) {
			return RecoverArgs{}, nil
		}, &river.PeriodicJobOpts{ID: "recover_enhancements", RunOnStart: true}),
		river.NewPeriodicJob(river.PeriodicInterval(retainEvery), func() (river.JobArgs, *river.InsertOpts) {
			return RetainArgs{}, nil
		}, &river.PeriodicJobOpts{ID: "retain_history"}),
	}
}

type recoverWorker struct {
	river.WorkerDefaults[RecoverArgs]
	module *Module
}

// Work walks the tenants. One tenant's trouble does not keep the others from being looked after.
func (w *recoverWorker) Work(ctx context.Context, _ *river.Job[RecoverArgs]) error {
	ids, err := w.module.deps.Tenants.IDs(ctx)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	var all error
	for _, tenantID := range ids {
		if err := w.module.recoverOrphans(ctx, tenantID); err != nil {
			all = errors.Join(all, fmt.Errorf("recover enhancements of %s: %w", tenantID, err))
		}
	}
	return all
}

// orphanSQL finds pending rows that no job of River's will ever work on again: a worker that was fenced may complete the
// job of its successor, a job may be discarded after a panic, and an operator may delete one. The subquery does not depend
// on the row, so it runs once and is hashed, whatever the planner believes: joined instead, a flood of 5,000 tickets took
// the database 10 s each time.
const orphanSQL = `
	SELECT h.id, h.event, h.priority, h.attempts
	FROM enhancement_history h
	WHERE h.tenant_id = $1 AND h.status = 'pending' AND h.created_at < now() - $2::interval
	  AND h.id::text NOT IN (
	      SELECT j.args->>'enhancement_id' FROM river_job j
	      WHERE j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
	        AND j.args->>'tenant_id' = $1 AND j.args ? 'enhancement_id')
	ORDER BY h.created_at
	LIMIT 500`

type orphan struct {
	ID       uuid.UUID
	Event    string
	Priority string
	Attempts int
}

// recoverOrphans queues a tenant's orphans again, or fails them visibly once their attempts are used up.
func (m *Module) recoverOrphans(ctx context.Context, tenantID string) error {
	return m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, orphanSQL, tenantID, m.cfg.OrphanAfter)
		if err != nil {
			return fmt.Errorf("find orphans: %w", err)
		}
		orphans, err := pgx.CollectRows(rows, pgx.RowToStructByName[orphan])
		if err != nil {
			return fmt.Errorf("find orphans: %w", err)
		}
		for _, o := range orphans {
			if err := m.recoverTx(ctx, tx, runID{tenant: tenantID, id: o.ID}, o); err != nil {
				return err
			}
			m.metrics.orphans.Inc()
		}
		return nil
	})
}

func (m *Module) recoverTx(ctx context.Context, tx pgx.Tx, id runID, o orphan) error {
	if o.Attempts >= m.cfg.MaxAttempts {
		_, err := tx.Exec(ctx, `
			UPDATE enhancement_history
			SET status = 'failed', outcome = 'failed', completed_at = now(), epoch = epoch + 1,
			    error_message = coalesce(error_message || '; ', '') || 'gave up after the last of its attempts'
			WHERE tenant_id = $1 AND id = $2 AND status = 'pending'`, id.tenant, id.id)
		if err != nil {
			return fmt.Errorf("fail orphan: %w", err)
		}
		m.metrics.outcomes.WithLabelValues("failed").Inc()
		return nil
	}
	s := startOf(o.Event)
	if s.job == nil {
		return fault.Newf(fault.Internal, "a pending row has the event %q, which has no job", o.Event)
	}
	return m.enqueueTx(ctx, tx, m.jobOf(ctx, s.job(id), priorityOf(o.Priority), nil))
}
