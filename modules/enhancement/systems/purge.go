package systems

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const purgeBatch = 1000

// Purge removes a tenant's hosts that were retired before the given time, in small transactions, and returns how many; with
// dryRun it only counts them. Until then a retired host is found and said to be so.
func (v *Inventory) Purge(ctx context.Context, tenantID string, before time.Time, dryRun bool) (int64, error) {
	var total int64
	for {
		var n int64
		err := v.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
			if dryRun {
				return tx.QueryRow(ctx, countRetired, tenantID, before).Scan(&n)
			}
			tag, err := tx.Exec(ctx, purgeRetired, tenantID, before, purgeBatch)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return total, fmt.Errorf("purge hosts: %w", err)
		}
		total += n
		if dryRun || n < purgeBatch {
			return total, nil
		}
	}
}
