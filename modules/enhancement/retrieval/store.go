package retrieval

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// segmentRow is a segment without its postings.
type segmentRow struct {
	SegmentID   int64
	Documents   int32
	Length      int64
	DocumentIDs []byte
}

type documentRow struct {
	DocumentID int64
	Terms      []byte
}

// putDocuments stores vectors; those that changed are unfolded again. Ids come in ascending order, so that two batches that
// meet wait for each other instead of dead-locking.
func putDocuments(ctx context.Context, tx pgx.Tx, tenantID string, p pool, documents []indexed) error {
	ids := make([]int64, len(documents))
	terms := make([][]byte, len(documents))
	for i, d := range documents {
		ids[i], terms[i] = d.id, d.vector.encode()
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO search_documents AS d (tenant_id, pool, document_id, terms)
		SELECT $1, $2, n.document_id, n.terms
		FROM unnest($3::bigint[], $4::bytea[]) AS n (document_id, terms)
		ON CONFLICT (tenant_id, pool, document_id) DO UPDATE SET terms = excluded.terms, folded = false
		WHERE d.terms IS DISTINCT FROM excluded.terms`, tenantID, p, ids, terms)
	if err != nil {
		return fmt.Errorf("index %ss: %w", p, err)
	}
	return nil
}

// statistics are what a query is weighed with.
type statistics struct {
	fresh    []indexed    // the unfolded documents
	segments []segmentRow // the folded ones, without their ids
	own      vector       // the asking ticket, where the history has it
}

// readStatistics reads them in one round trip.
func readStatistics(ctx context.Context, tx pgx.Tx, tenantID string, q *search) (statistics, error) {
	p := q.pool
	var s statistics
	batch := &pgx.Batch{}
	batch.Queue(`
		SELECT document_id, terms FROM search_documents
		WHERE tenant_id = $1 AND pool = $2 AND NOT folded`, tenantID, p).Query(func(rows pgx.Rows) (err error) {
		s.fresh, err = collectDocuments(rows)
		return err
	})
	batch.Queue(`
		SELECT segment_id, documents, length FROM search_segments
		WHERE tenant_id = $1 AND pool = $2
		ORDER BY segment_id`, tenantID, p).Query(func(rows pgx.Rows) (err error) {
		s.segments, err = pgx.CollectRows(rows, pgx.RowToStructByNameLax[segmentRow])
		return err
	})
	if p == ticketPool && q.own != "" {
		batch.Queue(`
		SELECT d.terms
		FROM ticket_history h
		JOIN search_documents d ON d.tenant_id = h.tenant_id AND d.pool = $3 AND d.document_id = h.id
		WHERE h.tenant_id = $1 AND h.ticket_id = $2`, tenantID, q.own, p).Query(func(rows pgx.Rows) error {
			var terms []byte
			_, err := pgx.ForEachRow(rows, []any{&terms}, func() error { s.own = decode(terms); return nil })
			return err
		})
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return statistics{}, fmt.Errorf("read statistics of %ss: %w", p, err)
	}
	return s, nil
}

func collectDocuments(rows pgx.Rows) ([]indexed, error) {
	var documents []indexed
	var row documentRow
	_, err := pgx.ForEachRow(rows, []any{&row.DocumentID, &row.Terms}, func() error {
		documents = append(documents, indexed{row.DocumentID, decode(row.Terms)})
		return nil
	})
	return documents, err
}

// lockFold makes folds of one pool exclude each other until the transaction ends. A fold is maintenance: on a busy server
// it may take longer than a statement of a request, or pause longer between two, and nobody waits for it.
func lockFold(ctx context.Context, tx pgx.Tx, tenantID string, p pool) (bool, error) {
	var locked bool
	err := tx.QueryRow(ctx, `
		SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))
		FROM set_config('statement_timeout', '2min', true) AS a, set_config('idle_in_transaction_session_timeout', '2min', true) AS b`,
		fmt.Sprintf("retrieval fold %s %s", p, tenantID)).Scan(&locked)
	if err != nil {
		return false, fmt.Errorf("lock fold: %w", err)
	}
	return locked, nil
}

func lockUnfolded(ctx context.Context, tx pgx.Tx, tenantID string, p pool, limit int) ([]indexed, error) {
	rows, err := tx.Query(ctx, `
		SELECT document_id, terms FROM search_documents
		WHERE tenant_id = $1 AND pool = $2 AND NOT folded
		ORDER BY document_id LIMIT $3
		FOR UPDATE SKIP LOCKED`, tenantID, p, limit)
	if err != nil {
		return nil, fmt.Errorf("read unfolded documents: %w", err)
	}
	return collectDocuments(rows)
}

func readSegments(ctx context.Context, tx pgx.Tx, tenantID string, p pool) ([]segmentRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT segment_id, documents, length, document_ids FROM search_segments
		WHERE tenant_id = $1 AND pool = $2
		ORDER BY segment_id`, tenantID, p)
	if err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[segmentRow])
}

func readFolded(ctx context.Context, tx pgx.Tx, tenantID string, p pool, ids []int64) ([]indexed, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT document_id, terms FROM search_documents
		WHERE tenant_id = $1 AND pool = $2 AND document_id = ANY($3) AND folded`, tenantID, p, ids)
	if err != nil {
		return nil, fmt.Errorf("read folded documents: %w", err)
	}
	return collectDocuments(rows)
}

// postingRows is how many rows one insert carries.
const postingRows = 5_000

func writeSegment(ctx context.Context, tx pgx.Tx, tenantID string, p pool, s segment) error {
	var id int64
	err := tx.QueryRow(ctx, `
		INSERT INTO search_segments (tenant_id, pool, documents, length, document_ids)
		VALUES ($1, $2, $3, $4, $5)
		RETURNING segment_id`, tenantID, p, len(s.documentIDs), s.length, encodeIDs(s.documentIDs)).Scan(&id)
	if err != nil {
		return fmt.Errorf("insert segment: %w", err)
	}
	for from := 0; from < len(s.terms); from += postingRows {
		to := min(from+postingRows, len(s.terms))
		terms := make([]int64, to-from)
		for i, t := range s.terms[from:to] {
			terms[i] = int64(t)
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO search_postings (tenant_id, pool, segment_id, term, documents, postings)
			SELECT $1, $2, $3, n.term, n.documents, n.postings
			FROM unnest($4::bigint[], $5::integer[], $6::bytea[]) AS n (term, documents, postings)`,
			tenantID, p, id, terms, s.frequencies[from:to], s.postings[from:to])
		if err != nil {
			return fmt.Errorf("insert postings: %w", err)
		}
	}
	return nil
}

func removeSegments(ctx context.Context, tx pgx.Tx, tenantID string, p pool, segments []segmentRow) error {
	if len(segments) == 0 {
		return nil
	}
	ids := make([]int64, len(segments))
	for i, s := range segments {
		ids[i] = s.SegmentID
	}
	for _, table := range []string{"search_postings", "search_segments"} {
		_, err := tx.Exec(ctx, `
			DELETE FROM `+table+`
			WHERE tenant_id = $1 AND pool = $2 AND segment_id = ANY($3)`, tenantID, p, ids)
		if err != nil {
			return fmt.Errorf("remove merged segments: %w", err)
		}
	}
	return nil
}

func markFolded(ctx context.Context, tx pgx.Tx, tenantID string, p pool, documents []indexed) error {
	ids := make([]int64, len(documents))
	for i, d := range documents {
		ids[i] = d.id
	}
	_, err := tx.Exec(ctx, `
		UPDATE search_documents SET folded = true
		WHERE tenant_id = $1 AND pool = $2 AND document_id = ANY($3)`, tenantID, p, ids)
	if err != nil {
		return fmt.Errorf("mark documents folded: %w", err)
	}
	return nil
}
