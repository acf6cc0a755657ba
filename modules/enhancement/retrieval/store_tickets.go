package retrieval

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// writeTickets upserts rows and returns those that are new or changed, as they stand now. Tags travel as JSON, since
// Postgres has no arrays of arrays of different lengths.
func writeTickets(ctx context.Context, tx pgx.Tx, tenantID string, tickets []prepared) ([]writtenTicket, error) {
	n := len(tickets)
	ids, subjects, descriptions, resolutions := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	priorities, accounts, sources, tags := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	dates := make([]*time.Time, n)
	for i, t := range tickets {
		ids[i], subjects[i], descriptions[i], resolutions[i] = t.ID, t.Subject, t.Description, t.Resolution
		priorities[i], accounts[i], sources[i] = t.Priority, t.AccountID, t.Source
		if !t.ResolvedAt.IsZero() {
			dates[i] = &tickets[i].ResolvedAt
		}
		list, err := json.Marshal(append([]string{}, t.Tags...))
		if err != nil {
			return nil, fmt.Errorf("encode tags: %w", err)
		}
		tags[i] = string(list)
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO ticket_history AS t (tenant_id, ticket_id, subject, description, resolution, resolved_date, priority, tags,
		                                 account_id, source)
		SELECT $1, n.ticket_id, n.subject, n.description, n.resolution, n.resolved_date, n.priority,
		       ARRAY(SELECT jsonb_array_elements_text(n.tags::jsonb)), n.account_id, n.source
		FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[])
		  AS n (ticket_id, subject, description, resolution, resolved_date, priority, tags, account_id, source)
		ON CONFLICT (tenant_id, ticket_id) DO UPDATE SET
			subject       = coalesce(nullif(excluded.subject, ''), t.subject),
			description   = coalesce(nullif(excluded.description, ''), t.description),
			resolution    = coalesce(nullif(excluded.resolution, ''), t.resolution),
			resolved_date = coalesce(excluded.resolved_date, t.resolved_date),
			priority      = coalesce(nullif(excluded.priority, ''), t.priority),
			tags          = coalesce(nullif(excluded.tags, '{}'), t.tags),
			account_id    = coalesce(nullif(excluded.account_id, ''), t.account_id),
			source        = excluded.source,
			updated_at    = now()
		WHERE (t.subject, t.description, t.resolution, t.resolved_date, t.priority, t.tags, t.account_id)
		   IS DISTINCT FROM
		      (coalesce(nullif(excluded.subject, ''), t.subject), coalesce(nullif(excluded.description, ''), t.description),
		       coalesce(nullif(excluded.resolution, ''), t.resolution), coalesce(excluded.resolved_date, t.resolved_date),
		       coalesce(nullif(excluded.priority, ''), t.priority), coalesce(nullif(excluded.tags, '{}'), t.tags),
		       coalesce(nullif(excluded.account_id, ''), t.account_id))
		RETURNING id, ticket_id, xmax = 0 AS inserted, subject, description, resolution, account_id`,
		tenantID, ids, subjects, descriptions, resolutions, dates, priorities, tags, accounts, sources)
	if err != nil {
		return nil, fmt.Errorf("upsert tickets: %w", err)
	}
	written, err := pgx.CollectRows(rows, pgx.RowToStructByName[writtenTicket])
	if err != nil {
		return nil, fmt.Errorf("upsert tickets: %w", err)
	}
	return written, nil
}

func deleteTickets(ctx context.Context, tx pgx.Tx, tenantID string, ticketIDs []string) error {
	_, err := tx.Exec(ctx, `
		WITH gone AS (DELETE FROM ticket_history WHERE tenant_id = $1 AND ticket_id = ANY($2) RETURNING id)
		DELETE FROM search_documents
		WHERE tenant_id = $1 AND pool = $3 AND document_id IN (SELECT id FROM gone)`, tenantID, ticketIDs, ticketPool)
	if err != nil {
		return fmt.Errorf("delete tickets: %w", err)
	}
	return nil
}

const selectCandidates = `
	SELECT d.document_id, d.terms, t.ticket_id, t.account_id, t.subject
	FROM unnest($3::bigint[]) AS q (id)
	CROSS JOIN LATERAL (
		SELECT document_id, terms FROM search_documents
		WHERE tenant_id = $1 AND pool = $2 AND document_id = q.id LIMIT 1) d
	CROSS JOIN LATERAL (
		SELECT ticket_id, account_id, subject FROM ticket_history
		WHERE tenant_id = $1 AND id = q.id LIMIT 1) t`

// readCandidates reads what the second step of the ranking needs.
func readCandidates(ctx context.Context, tx pgx.Tx, tenantID string, ids []int64) ([]candidateRow, error) {
	rows, err := tx.Query(ctx, selectCandidates, tenantID, ticketPool, ids)
	if err != nil {
		return nil, fmt.Errorf("read candidates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[candidateRow])
}

// readTickets reads what is shown of the tickets found.
func (s *Store) readTickets(ctx context.Context, tenantID string, ranked []Ranked) (map[int64]ticketRow, error) {
	ids := make([]int64, len(ranked))
	for i, r := range ranked {
		ids[i] = r.documentID
	}
	byID := make(map[int64]ticketRow, len(ranked))
	err := s.db.InTenantBatch(ctx, tenantID, func(b *pgx.Batch) {
		b.Queue(`
			SELECT id, subject, description, resolution, resolved_date, source
			FROM ticket_history
			WHERE tenant_id = $1 AND id = ANY($2)`, tenantID, ids).Query(func(rows pgx.Rows) error {
			tickets, err := pgx.CollectRows(rows, pgx.RowToStructByName[ticketRow])
			for _, t := range tickets {
				byID[t.ID] = t
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read tickets: %w", err)
	}
	return byID, nil
}

// tables are all tables of this package, those that refer to others first.
var tables = []string{
	"search_postings", "search_segments", "search_documents", "knowledge_sections", "knowledge_articles", "ticket_history",
}

// Purge removes everything of a tenant: tickets, articles and index.
func (s *Store) Purge(ctx context.Context, tenantID string) error {
	return s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return s.PurgeTx(ctx, tx, tenantID)
	})
}

// PurgeTx is Purge in the caller's transaction.
func (s *Store) PurgeTx(ctx context.Context, tx pgx.Tx, tenantID string) error {
	for _, table := range tables {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE tenant_id = $1`, tenantID); err != nil {
			return fmt.Errorf("purge %s: %w", table, err)
		}
	}
	return nil
}
