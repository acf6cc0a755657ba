package enhancement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

const (
	retainEvery = time.Hour
	retainBatch = 1000
)

// RetainArgs are the arguments of the periodic job that deletes history past its retention.
type RetainArgs struct{}

// Kind names the job in the queue.
func (RetainArgs) Kind() string { return "retain_history" }

// InsertOpts keep one such job at a time.
func (RetainArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Priority: priorityFlood, UniqueOpts: river.UniqueOpts{ByPeriod: retainEvery}}
}

type retainWorker struct {
	river.WorkerDefaults[RetainArgs]
	module *Module
}

// Timeout is the period: what one run does not reach, the next one does.
func (w *retainWorker) Timeout(*river.Job[RetainArgs]) time.Duration { return retainEvery }

// Work walks the tenants; one tenant's trouble does not keep the others' history.
func (w *retainWorker) Work(ctx context.Context, _ *river.Job[RetainArgs]) error {
	ids, err := w.module.deps.Tenants.IDs(ctx)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	var all error
	for _, id := range ids {
		if _, err := w.module.retain(ctx, id); err != nil {
			all = errors.Join(all, fmt.Errorf("retain history of %s: %w", id, err))
		}
	}
	return all
}

// retain deletes a tenant's finished rows past the retention, in small transactions, so that nothing waits behind it. With
// a row goes the memory of its delivery: a webhook older than the history counts as new.
func (m *Module) retain(ctx context.Context, tenantID string) (int64, error) {
	var total int64
	for {
		var deleted int64
		err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `
				DELETE FROM enhancement_history
				WHERE tenant_id = $1 AND id IN (
				  SELECT id FROM enhancement_history
				  WHERE tenant_id = $1 AND created_at < now() - $2::interval AND status <> 'pending'
				  ORDER BY created_at LIMIT $3)`, tenantID, m.cfg.HistoryRetention, retainBatch)
			deleted = tag.RowsAffected()
			return err
		})
		total += deleted
		if err != nil || deleted < retainBatch {
			return total, err
		}
	}
}
