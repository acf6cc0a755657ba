package enhancement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const retainBatch = 1000

// Retain deletes the history past its retention, tenant by tenant, and returns how many rows each had; with dryRun it only
// counts them. One tenant's trouble does not keep the others' history.
func (m *Module) Retain(ctx context.Context, dryRun bool) (map[string]int64, error) {
	return m.eachTenant(ctx, func(ctx context.Context, id string) (int64, error) {
		n, err := m.forget(ctx, id, m.cfg.HistoryRetention, dryRun)
		if err != nil {
			return n, fmt.Errorf("retain history of %s: %w", id, err)
		}
		return n, nil
	})
}

// Forget deletes a tenant's finished rows older than the given age: for a tenant whose history nobody needs.
func (m *Module) Forget(ctx context.Context, tenantID string, age time.Duration) (int64, error) {
	return m.forget(ctx, tenantID, age, false)
}

// expired names the rows that go. Those that are pending never do.
const expired = `FROM enhancement_history WHERE tenant_id = $1 AND created_at < now() - $2::interval AND status <> 'pending'`

// forget deletes in small transactions, so that no webhook waits behind it and a cancelled context ends it between two. With a
// row go its model calls, its note's record, and the memory of its delivery: a webhook older than the history counts as new.
func (m *Module) forget(ctx context.Context, tenantID string, age time.Duration, dryRun bool) (int64, error) {
	var total int64
	for {
		var n int64
		err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
			if dryRun {
				return tx.QueryRow(ctx, `SELECT count(*) `+expired, tenantID, age).Scan(&n)
			}
			tag, err := tx.Exec(ctx, `
				DELETE FROM enhancement_history
				WHERE tenant_id = $1 AND id IN (SELECT id `+expired+` ORDER BY created_at LIMIT $3)`, tenantID, age, retainBatch)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if dryRun || n < retainBatch {
			return total, nil
		}
	}
}

// eachTenant does something for every tenant, and goes on when it fails for one. Tenants with nothing to count are left out.
func (m *Module) eachTenant(ctx context.Context, do func(ctx context.Context, tenantID string) (int64, error)) (map[string]int64, error) {
	ids, err := m.deps.Tenants.IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	counts := map[string]int64{}
	var all error
	for _, id := range ids {
		if ctx.Err() != nil {
			return counts, errors.Join(all, ctx.Err())
		}
		n, err := do(ctx, id)
		all = errors.Join(all, err)
		if n > 0 {
			counts[id] = n
		}
	}
	return counts, all
}
