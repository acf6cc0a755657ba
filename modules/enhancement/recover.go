package enhancement

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

// Recover looks for pending rows without a living job, tenant by tenant, and returns how many each had. One tenant's trouble
// does not keep the others from being looked after.
func (m *Module) Recover(ctx context.Context) (map[string]int64, error) {
	return m.eachTenant(ctx, func(ctx context.Context, id string) (int64, error) {
		n, err := m.of(id).recoverOrphans(ctx, id)
		if err != nil {
			return n, fmt.Errorf("recover enhancements of %s: %w", id, err)
		}
		return n, nil
	})
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
func (m *Module) recoverOrphans(ctx context.Context, tenantID string) (found int64, err error) {
	err = m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
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
		}
		found = int64(len(orphans))
		return nil
	})
	if err != nil {
		return 0, err
	}
	m.metrics.orphans.Add(float64(found))
	return found, nil
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
