package retrieval

import (
	"cmp"
	"math"
	"slices"
)

// The ranking function, in two steps (docs/retrieval.md has the measurements behind each number).
//
// First BM25 over both fields. A term in the title counts as titleWeight terms in a document and queryTitleWeight in a
// query, and only the queryTerms strongest terms of a query take part: the long tail of a pasted log is noise.
const (
	k1               = 3.0
	b                = 0.9
	k3               = 8.0
	titleWeight      = 3.0
	queryTitleWeight = 5.0
	queryTerms       = 40
)

// corpus holds a tenant's statistics of one pool.
type corpus struct {
	documents int
	length    int64
}

func (c corpus) averageLength() float64 {
	if c.documents == 0 {
		return 1
	}
	return max(1, float64(c.length)/float64(c.documents))
}

// idf is the inverse document frequency of BM25, never negative.
func (c corpus) idf(frequency int) float64 {
	n, df := float64(max(c.documents, frequency)), float64(frequency)
	return math.Log(1 + (n-df+0.5)/(df+0.5))
}

// length is the weighted number of terms of a document. Tags count nothing.
func (v vector) length() float64 {
	n := 0.0
	for _, e := range v {
		n += e.weight()
	}
	return n
}

func (e entry) weight() float64 { return titleWeight*float64(e.title) + float64(e.body) }

// saturation is what one more occurrence of a term is worth, between 0 and 1, in a document of the given length.
func saturation(weight, length, average float64) float64 {
	return weight / (weight + k1*(1-b+b*length/average))
}

// weightedTerm is a term of a query with its weight.
type weightedTerm struct {
	term   term
	weight float64
}

// weigh gives the strongest terms of a query, sorted by term. Terms that no document has find nothing and are left out; how
// much of the query is left is the share that the history knows.
func weigh(query vector, c corpus, frequency frequencies) (terms []weightedTerm, known float64) {
	terms = make([]weightedTerm, 0, len(query))
	all := 0.0
	for _, e := range query {
		df := frequency[e.term]
		qtf := queryTitleWeight*float64(e.title) + float64(e.body)
		weight := c.idf(df) * qtf * (k3 + 1) / (qtf + k3)
		all += weight
		if df == 0 || qtf == 0 {
			continue
		}
		known += weight
		terms = append(terms, weightedTerm{e.term, weight})
	}
	slices.SortFunc(terms, func(a, b weightedTerm) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.term, b.term))
	})
	terms = terms[:min(len(terms), queryTerms)]
	slices.SortFunc(terms, func(a, b weightedTerm) int { return cmp.Compare(a.term, b.term) })
	return terms, known / max(all, math.SmallestNonzeroFloat64)
}

// score is BM25 of a document for a query.
func score(terms []weightedTerm, document vector, average float64) float64 {
	length, sum, i := document.length(), 0.0, 0
	for _, t := range terms {
		for i < len(document) && document[i].term < t.term {
			i++
		}
		if i == len(document) {
			break
		}
		if document[i].term == t.term {
			sum += t.weight * saturation(document[i].weight(), length, average)
		}
	}
	return sum
}
