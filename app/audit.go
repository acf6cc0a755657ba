package app

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// audit records what a person did to a tenant outside of the tenant module: runs started again, imports.
func (s *system) audit(ctx context.Context, tenantID, action string, detail map[string]any) error {
	return s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return s.tenants.RecordTx(ctx, tx, tenantID, actor(), action, detail)
	})
}
