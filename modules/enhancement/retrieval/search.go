package retrieval

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// candidateLimit is how many documents the first step hands to the second.
const candidateLimit = 100

// search is one query on one pool: what is looked for, and the statistics it is weighed with.
type search struct {
	index   *postings
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

// foldsMet is how many folds in a row a search begins again for. Each has gathered hundreds of documents since the last.
const foldsMet = 10

// candidates runs the first step: approximate BM25 from the segments, and the unfolded documents exactly.
func (q *search) candidates(ctx context.Context, tx pgx.Tx, tenantID string) (ids []int64, unfolded int, err error) {
	for range foldsMet {
		ids, unfolded, err = q.attempt(ctx, tx, tenantID)
		if !errors.Is(err, errFolded) {
			break
		}
	}
	return ids, unfolded, err
}

// attempt fails with errFolded when a fold commits while it reads.
//
// The order of reading matters. Unfolded documents come first and the list of segments after them: a fold that commits in
// between shows a document twice, never not at all. What is found is read again by the caller, so a posting that outlived its
// document, or an older text of it, cannot reach a result.
func (q *search) attempt(ctx context.Context, tx pgx.Tx, tenantID string) ([]int64, int, error) {
	stats, err := readStatistics(ctx, tx, tenantID, q)
	if err != nil {
		return nil, 0, err
	}
	fresh := stats.fresh
	frequency, err := q.frequencies(ctx, tx, tenantID, stats)
	if err != nil {
		return nil, 0, err
	}
	all := corpusOf(stats.segments).plus(fresh)
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
	lists, err := q.index.get(ctx, tx, tenantID, q.pool, stats.segments, q.wanted(), true)
	if err != nil {
		return nil, 0, err
	}
	for i, s := range stats.segments {
		members := func() ([]int64, error) { return q.index.documents(ctx, tx, tenantID, q.pool, s.SegmentID) }
		if err := q.scan(int(s.Documents), lists[i], members, &found, isFresh); err != nil {
			return nil, 0, err
		}
	}
	found.prune()
	ids := make([]int64, len(found.found))
	for i, f := range found.found {
		ids[i] = f.id
	}
	return ids, len(fresh), nil
}

// frequencies counts the documents with each term of the query, but for the ticket that asks.
func (q *search) frequencies(ctx context.Context, tx pgx.Tx, tenantID string, stats statistics) (frequencies, error) {
	frequency := make(frequencies, len(q.query))
	terms := make([]int64, len(q.query))
	for i, e := range q.query {
		frequency[e.term], terms[i] = 0, int64(e.term)
	}
	counted, err := q.index.get(ctx, tx, tenantID, q.pool, stats.segments, terms, false)
	if err != nil {
		return nil, err
	}
	for _, segment := range counted {
		for i, e := range q.query {
			frequency[e.term] += int(segment[i].documents)
		}
	}
	for _, d := range stats.fresh {
		frequency.count(d.vector, 1)
	}
	frequency.count(stats.own, -1)
	return frequency, nil
}

// wanted are the terms whose postings are added up, and after them the tags.
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

// scan adds up the wanted postings of one segment and keeps its best documents.
func (q *search) scan(documents int, wanted []posting, members func() ([]int64, error), found *best, isFresh map[int64]bool) error {
	scores := make([]float32, documents)
	for i, t := range q.terms {
		accumulate(scores, wanted[i].list, t.weight)
	}
	for _, tagged := range wanted[len(q.terms):] {
		keepTagged(scores, tagged.list)
	}
	var ids []int64
	for ordinal, score := range scores {
		if !found.wants(float64(score)) {
			continue
		}
		if ids == nil {
			var err error
			if ids, err = members(); err != nil {
				return err
			}
		}
		if ordinal < len(ids) && !isFresh[ids[ordinal]] {
			found.add(ids[ordinal], float64(score))
		}
	}
	return nil
}

// self is what the query would score if it were a document: the most that any document can be like it.
func (q *search) self() float64 { return score(q.terms, q.query, q.average) }
