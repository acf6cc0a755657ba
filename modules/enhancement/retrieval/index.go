package retrieval

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// pool names one of the two collections that are searched. They are never mixed: each has its statistics and its quota.
type pool string

const (
	ticketPool  pool = "ticket"
	articlePool pool = "article"
)

const (
	// foldAt is how many unfolded documents are worth a segment. Below it a search reads them one by one.
	foldAt = 512
	// foldMost keeps one fold short when very many have come together.
	foldMost = 8 * foldAt
	// lateAt is when a search folds by itself before it goes on: nobody else seems to.
	lateAt = 4 * foldAt
)

// fold gathers the unfolded documents of a pool into a segment and merges it with segments that are no bigger, so that
// their number grows with the logarithm of the history. It reports whether documents were left for another round.
//
// One fold runs at a time per pool; a second one returns at once. It never waits for a writer: a document that is being
// written stays unfolded. Searches meanwhile see the old segments or the new one, never neither.
func (s *Store) fold(ctx context.Context, tenantID string, p pool, atLeast int) (more bool, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		locked, err := lockFold(ctx, tx, tenantID, p)
		if err != nil || !locked {
			return err
		}
		fresh, err := lockUnfolded(ctx, tx, tenantID, p, foldMost)
		if err != nil || len(fresh) < max(atLeast, 1) {
			return err
		}
		segments, err := readSegments(ctx, tx, tenantID, p)
		if err != nil {
			return err
		}
		merged := chooseMerged(segments, len(fresh))
		old, err := readFolded(ctx, tx, tenantID, p, memberIDs(merged))
		if err != nil {
			return err
		}
		total := corpusOf(segments).plus(fresh)
		if err := writeSegment(ctx, tx, tenantID, p, buildSegment(append(old, fresh...), total.averageLength())); err != nil {
			return err
		}
		if err := removeSegments(ctx, tx, tenantID, p, merged); err != nil {
			return err
		}
		more = len(fresh) == foldMost
		return markFolded(ctx, tx, tenantID, p, fresh)
	})
	if err != nil {
		return false, fmt.Errorf("fold index of %ss: %w", p, err)
	}
	return more, nil
}

// Fold brings a tenant's index up to date. It is called by imports as they go, and by a search that finds the index far
// behind; a periodic job may call it too. It does nothing while fewer than a few hundred documents are new.
func (s *Store) Fold(ctx context.Context, tenantID string) error {
	for _, p := range []pool{ticketPool, articlePool} {
		for more := true; more; {
			var err error
			if more, err = s.fold(ctx, tenantID, p, foldAt); err != nil {
				return err
			}
		}
	}
	return nil
}

// foldIfDue folds after a write or a search that has succeeded already. Unfolded rows are found as well, only slower, so a
// failure is not the caller's: the next call tries again.
func (s *Store) foldIfDue(ctx context.Context, tenantID string, p pool) {
	if _, err := s.fold(ctx, tenantID, p, foldAt); err != nil {
		s.log.WarnContext(ctx, "search index not folded", "tenant_id", tenantID, "pool", string(p), "error", err)
	}
}

// chooseMerged picks the segments that a new one of the given size absorbs: smallest first, while the next is no bigger
// than what has been gathered. Sizes then about double from one to the next, and a document is rewritten a few times only.
func chooseMerged(segments []segmentRow, size int) []segmentRow {
	bySize := slices.Clone(segments)
	slices.SortFunc(bySize, func(a, b segmentRow) int { return int(a.Documents) - int(b.Documents) })
	for i, s := range bySize {
		if int(s.Documents) > size || size+int(s.Documents) > maxSegment {
			return bySize[:i]
		}
		size += int(s.Documents)
	}
	return bySize
}

func memberIDs(segments []segmentRow) []int64 {
	var ids []int64
	for _, s := range segments {
		ids = append(ids, decodeIDs(s.DocumentIDs)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func corpusOf(segments []segmentRow) corpus {
	var c corpus
	for _, s := range segments {
		c.documents += int(s.Documents)
		c.length += s.Length
	}
	return c
}

func (c corpus) plus(documents []indexed) corpus {
	for _, d := range documents {
		c.documents++
		c.length += int64(d.vector.length())
	}
	return c
}
