package retrieval

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// candidateLimit is how many documents the first step hands to the second.
const candidateLimit = 100

// search is one query on one pool: what is looked for, and the statistics it is weighed with.
type search struct {
	pool    pool
	query   vector
	tags    []term // a document must have all of them
	own     string // the ticket that asks: when the history has it, it does not count in the statistics
	terms   []weightedTerm
	known   float64 // share of the query's weight that lies on terms the history has
	average float64
}

// frequencies says how many documents have each term of a query.
type frequencies map[term]int

// count adds a document, or takes one out with by = -1.
func (f frequencies) count(document vector, by int) {
	for _, e := range document {
		if n, ok := f[e.term]; ok {
			f[e.term] = max(0, n+by)
		}
	}
}

// candidates runs the first step: approximate BM25 from the segments, and the unfolded documents exactly.
//
// The order of reading matters. Unfolded documents come first and the segments after them, in one statement: a fold that
// commits in between shows a document twice, never not at all. What is found is read again by the caller, so a posting that
// outlived its document, or an older text of it, cannot reach a result.
func (q *search) candidates(ctx context.Context, tx pgx.Tx, tenantID string) ([]int64, int, error) {
	stats, err := readStatistics(ctx, tx, tenantID, q)
	if err != nil {
		return nil, 0, err
	}
	fresh, frequency := stats.fresh, stats.frequency
	for _, d := range fresh {
		frequency.count(d.vector, 1)
	}
	frequency.count(stats.own, -1)
	all := stats.folded.plus(fresh)
	q.terms, q.known = weigh(q.query, all, frequency)
	q.average = all.averageLength()
	if len(q.terms) == 0 {
		return nil, len(fresh), nil
	}
	found := best{k: candidateLimit}
	isFresh := make(map[int64]bool, len(fresh))
	for _, d := range fresh {
		isFresh[d.id] = true
		if d.vector.hasAll(q.tags) {
			found.add(d.id, score(q.terms, d.vector, q.average))
		}
	}
	err = eachSegment(ctx, tx, tenantID, q.pool, q.wanted(), func(s segmentPostings) {
		q.scan(s, &found, isFresh)
	})
	found.prune()
	ids := make([]int64, len(found.found))
	for i, f := range found.found {
		ids[i] = f.id
	}
	return ids, len(fresh), err
}

func (q *search) wanted() []int64 {
	terms := make([]int64, 0, len(q.terms)+len(q.tags))
	for _, t := range q.terms {
		terms = append(terms, int64(t.term))
	}
	for _, t := range q.tags {
		terms = append(terms, int64(t))
	}
	return terms
}

// scan adds up the postings of one segment and keeps its best documents.
func (q *search) scan(s segmentPostings, found *best, isFresh map[int64]bool) {
	scores := make([]float32, s.Documents)
	lists := make(map[term][]byte, len(s.Terms))
	for i, t := range s.Terms {
		lists[term(t)] = s.Postings[i]
	}
	for _, t := range q.terms {
		accumulate(scores, lists[t.term], t.weight)
	}
	for _, t := range q.tags {
		keepTagged(scores, lists[t])
	}
	var ids []int64
	for ordinal, score := range scores {
		if !found.wants(float64(score)) {
			continue
		}
		if ids == nil {
			ids = decodeIDs(s.DocumentIDs)
		}
		if ordinal < len(ids) && !isFresh[ids[ordinal]] {
			found.add(ids[ordinal], float64(score))
		}
	}
}

// self is what the query would score if it were a document: the most that any document can be like it.
func (q *search) self() float64 { return score(q.terms, q.query, q.average) }
