package retrieval

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Past is a solved ticket as its history has it.
type Past struct {
	TicketID    string
	Subject     string
	Description string
	Resolution  string
	Tags        []string
	AccountID   string
}

// Solved gives the newest tickets of a tenant that have a usable resolution, oldest first.
func (s *Store) Solved(ctx context.Context, tenantID string, newest int) ([]Past, error) {
	var solved []Past
	err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT ticket_id, subject, description, resolution, tags, account_id
			FROM ticket_history
			WHERE tenant_id = $1 AND resolution <> ''
			ORDER BY coalesce(resolved_date, created_at) DESC, id DESC
			LIMIT $2`, tenantID, newest)
		if err != nil {
			return err
		}
		solved, err = pgx.CollectRows(rows, pgx.RowToStructByName[Past])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read solved tickets: %w", err)
	}
	solved = slices.DeleteFunc(solved, func(p Past) bool { return !usable(p.Resolution) })
	slices.Reverse(solved)
	return solved, nil
}
