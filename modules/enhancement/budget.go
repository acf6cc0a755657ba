package enhancement

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// overBudget reports whether the tenant has used up its tokens of the day (UTC). The check comes before the call, so a
// budget is exceeded by the calls under way at most.
func (m *Module) overBudget(ctx context.Context, r *run) (bool, error) {
	if r.prefs.DailyTokenBudget <= 0 {
		return false, nil
	}
	var used int64
	err := m.deps.DB.InTenantBatch(ctx, r.id.tenant, func(b *pgx.Batch) {
		b.Queue(`
			SELECT coalesce(sum(prompt_tokens + completion_tokens), 0)
			FROM model_calls
			WHERE tenant_id = $1 AND created_at >= date_trunc('day', now(), 'UTC')`, r.id.tenant).
			QueryRow(func(row pgx.Row) error { return row.Scan(&used) })
	})
	if err != nil {
		return false, fmt.Errorf("read budget: %w", err)
	}
	return used >= r.prefs.DailyTokenBudget, nil
}
