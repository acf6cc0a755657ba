package retrieval

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Size counts a tenant's past tickets and articles, each up to a bound, which keeps the count cheap however many there are.
func (s *Store) Size(ctx context.Context, tenantID string, bound int64) (tickets, articles int64, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM (SELECT 1 FROM ticket_history WHERE tenant_id = $1 LIMIT $2) t),
			       (SELECT count(*) FROM (SELECT 1 FROM knowledge_articles WHERE tenant_id = $1 LIMIT $2) a)`, tenantID, bound).Scan(&tickets, &articles)
		if err != nil {
			return fmt.Errorf("count tickets and articles: %w", err)
		}
		return nil
	})
	return tickets, articles, err
}
