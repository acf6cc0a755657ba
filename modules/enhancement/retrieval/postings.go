package retrieval

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/maypok86/otter/v2"

	"aiagents/internal/fault"
)

// postingMemory bounds, in bytes, what a process remembers of segments: those of a few tenants with ten thousand tickets each.
const postingMemory = 16 << 20

// postings remembers what searches have read of segments. A segment never changes and its id never comes back, so nothing
// has to be invalidated: which segments count, each search asks the database, under row-level security.
type postings struct {
	read *otter.Cache[postingKey, posting]
}

type postingKey struct {
	tenant  string
	segment int64
	term    int64
}

// members is in the place of a term for the ids of a segment's documents.
const members = -1

// posting is one term in one segment. A zero one says that the segment does not have the term.
type posting struct {
	documents int32
	// list is nil until a search needs more than the number.
	list []byte
}

func newPostings() *postings {
	return &postings{read: otter.Must(&otter.Options[postingKey, posting]{
		MaximumWeight: postingMemory,
		Weigher: func(k postingKey, p posting) uint32 {
			const entry = 160                                // what the cache itself needs for one
			return entry + uint32(len(k.tenant)+cap(p.list)) // #nosec G115 -- a segment's list is some ten kilobytes
		},
	})}
}

// errFolded says that segments were merged away while they were read.
var errFolded = fault.New(fault.Unavailable, "the search index is being folded")

// The statements of a search ask for each row by its whole key, one LATERAL with LIMIT 1 a row. Written as a join or with
// = ANY they cost the same with good statistics, but on a table that was never analysed, a tenant's first hour, the planner
// then reads a whole segment and filters it.
//
// A few documents' list comes with their number, since the terms that few documents have are those that a search needs.
const selectTerms = `
	SELECT q.n, p.documents, p.postings
	FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS q (segment_id, term, n)
	CROSS JOIN LATERAL (
		SELECT documents, CASE WHEN $5 OR documents <= 256 THEN postings END AS postings FROM search_postings
		WHERE tenant_id = $1 AND pool = $2 AND segment_id = q.segment_id AND term = q.term LIMIT 1) p`

// get gives the terms' postings of each segment, with their lists or without; what is not remembered is read in one round trip.
func (x *postings) get(ctx context.Context, tx pgx.Tx, tenantID string, p pool, segments []segmentRow, terms []int64, lists bool) ([][]posting, error) {
	found := make([][]posting, len(segments))
	var missing postingsMissing
	for i, s := range segments {
		found[i] = make([]posting, len(terms))
		for j, t := range terms {
			e, ok := x.read.GetIfPresent(postingKey{tenantID, s.SegmentID, t})
			if !ok || lists && e.documents > 0 && e.list == nil {
				missing.add(s.SegmentID, t, &found[i][j])
				continue
			}
			found[i][j] = e
		}
	}
	if len(missing.terms) == 0 {
		return found, nil
	}
	if err := missing.read(ctx, tx, tenantID, p, segments, lists); err != nil {
		return nil, err
	}
	for n, e := range missing.found {
		x.read.Set(postingKey{tenantID, missing.segments[n], missing.terms[n]}, *e)
	}
	return found, nil
}

// documents are the ids of a segment's documents, by ordinal.
func (x *postings) documents(ctx context.Context, tx pgx.Tx, tenantID string, p pool, segment int64) ([]int64, error) {
	key := postingKey{tenantID, segment, members}
	e, ok := x.read.GetIfPresent(key)
	if !ok {
		rows, err := tx.Query(ctx, `
			SELECT document_ids FROM search_segments
			WHERE tenant_id = $1 AND pool = $2 AND segment_id = $3`, tenantID, p, segment)
		if err != nil {
			return nil, fmt.Errorf("read members of a segment: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return nil, fmt.Errorf("read members of a segment: %w", err)
		}
		if len(ids) == 0 {
			return nil, errFolded
		}
		e.list = ids[0]
		x.read.Set(key, e)
	}
	return decodeIDs(e.list), nil
}

// postingsMissing are the postings to read, and where to put them.
type postingsMissing struct {
	segments []int64
	terms    []int64
	found    []*posting
}

func (m *postingsMissing) add(segment, term int64, found *posting) {
	m.segments, m.terms, m.found = append(m.segments, segment), append(m.terms, term), append(m.found, found)
}

// read counts the segments after it has read of them, in the same batch: one that is there now was there then, and so a term
// that was not found is not in it.
func (m *postingsMissing) read(ctx context.Context, tx pgx.Tx, tenantID string, p pool, segments []segmentRow, lists bool) error {
	ids := make([]int64, len(segments))
	for i, s := range segments {
		ids[i] = s.SegmentID
	}
	left := 0
	batch := &pgx.Batch{}
	batch.Queue(selectTerms, tenantID, p, m.segments, m.terms, lists).Query(func(rows pgx.Rows) error {
		var n int64
		var e posting
		_, err := pgx.ForEachRow(rows, []any{&n, &e.documents, &e.list}, func() error {
			*m.found[n-1] = e
			return nil
		})
		return err
	})
	batch.Queue(`
		SELECT count(*) FROM search_segments
		WHERE tenant_id = $1 AND pool = $2 AND segment_id = ANY($3)`, tenantID, p, ids).QueryRow(func(row pgx.Row) error {
		return row.Scan(&left)
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read postings of %ss: %w", p, err)
	}
	if left < len(ids) {
		return errFolded
	}
	return nil
}
