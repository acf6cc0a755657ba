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
	used, err := m.TokensToday(ctx, r.id.tenant)
	return used >= r.prefs.DailyTokenBudget, err
}

// TokensToday is what the tenant's model calls have used on this day (UTC), to be held against its daily budget.
func (m *Module) TokensToday(ctx context.Context, tenantID string) (used int64, err error) {
	err = m.deps.DB.InTenantBatch(ctx, tenantID, func(b *pgx.Batch) {
		b.Queue(`
			SELECT coalesce(sum(prompt_tokens + completion_tokens), 0)
			FROM model_calls
			WHERE tenant_id = $1 AND created_at >= date_trunc('day', now(), 'UTC')`, tenantID).
			QueryRow(func(row pgx.Row) error { return row.Scan(&used) })
	})
	if err != nil {
		return 0, fmt.Errorf("read budget: %w", err)
	}
	return used, nil
}
