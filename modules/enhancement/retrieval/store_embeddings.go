package retrieval

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// neighbour is a ticket by meaning: its cosine with the query.
type neighbour struct {
	DocumentID int64
	Similarity float64
}

// unembedded is a ticket that needs a vector.
type unembedded struct {
	ID          int64
	UpdatedAt   time.Time
	Subject     string
	Description string
}

// ready reports whether the table is there: pgvector is optional, and so is the table.
func (h *hybrid) ready(ctx context.Context, tx pgx.Tx) (bool, error) {
	if h.present.Load() {
		return true, nil
	}
	var present bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass('ticket_embeddings') IS NOT NULL`).Scan(&present); err != nil {
		return false, fmt.Errorf("look for the table of embeddings: %w", err)
	}
	h.present.Store(present)
	return present, nil
}

// The vectors of a tenant's newest tickets are compared one by one. An approximate index over all tenants would filter by
// tenant, under row-level security, only after it had picked its candidates, and a small tenant would get none of its own.
const selectNeighbours = `
	SELECT n.document_id, 1 - (n.embedding <=> $3::real[]::vector) AS similarity
	FROM (
		SELECT e.document_id, e.embedding
		FROM ticket_embeddings e
		JOIN ticket_history h ON h.tenant_id = e.tenant_id AND h.id = e.document_id
		WHERE e.tenant_id = $1 AND e.model = $2 AND ($4 = '' OR h.account_id = $4)
		ORDER BY e.document_id DESC
		LIMIT $5) n
	ORDER BY n.embedding <=> $3::real[]::vector, n.document_id DESC
	LIMIT $6`

func readNeighbours(ctx context.Context, tx pgx.Tx, tenantID string, h *hybrid, accountID string, vector []float32) ([]neighbour, error) {
	if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, fmt.Sprint(h.cfg.Timeout.Milliseconds())); err != nil {
		return nil, fmt.Errorf("bound the search by meaning: %w", err)
	}
	rows, err := tx.Query(ctx, selectNeighbours, tenantID, h.model(), vector, accountID, h.cfg.MaxTickets, candidateLimit)
	if err != nil {
		return nil, fmt.Errorf("search by meaning: %w", err)
	}
	near, err := pgx.CollectRows(rows, pgx.RowToStructByName[neighbour])
	if err != nil {
		return nil, fmt.Errorf("search by meaning: %w", err)
	}
	return near, nil
}

// readUnembedded looks at the tickets that a search would look at, so its work is bounded by their number.
func readUnembedded(ctx context.Context, tx pgx.Tx, tenantID string, h *hybrid, limit int) ([]unembedded, error) {
	rows, err := tx.Query(ctx, `
		SELECT h.id, h.updated_at, h.subject, h.description
		FROM (
			SELECT id, updated_at, subject, description FROM ticket_history
			WHERE tenant_id = $1
			ORDER BY id DESC LIMIT $3) h
		LEFT JOIN ticket_embeddings e ON e.tenant_id = $1 AND e.document_id = h.id
		WHERE e.document_id IS NULL OR e.model <> $2 OR e.updated_at < h.updated_at
		ORDER BY h.id DESC
		LIMIT $4`, tenantID, h.model(), h.cfg.MaxTickets, limit)
	if err != nil {
		return nil, fmt.Errorf("read tickets without a vector: %w", err)
	}
	pending, err := pgx.CollectRows(rows, pgx.RowToStructByName[unembedded])
	if err != nil {
		return nil, fmt.Errorf("read tickets without a vector: %w", err)
	}
	return pending, nil
}

func writeEmbeddings(ctx context.Context, tx pgx.Tx, tenantID, model string, tickets []unembedded, vectors [][]float32) error {
	batch := &pgx.Batch{}
	for i, t := range tickets {
		batch.Queue(`
			INSERT INTO ticket_embeddings AS e (tenant_id, document_id, model, updated_at, embedding)
			SELECT $1, h.id, $3, $4, $5::real[]::vector FROM ticket_history h
			WHERE h.tenant_id = $1 AND h.id = $2
			ON CONFLICT (tenant_id, document_id) DO UPDATE SET
				model = excluded.model, updated_at = excluded.updated_at, embedding = excluded.embedding`,
			tenantID, t.ID, model, t.UpdatedAt, vectors[i])
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store embeddings: %w", err)
	}
	return nil
}
