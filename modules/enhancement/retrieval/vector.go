package retrieval

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/blevesearch/snowballstem"
)

// term is a hashed term. 32 bits keep the index small; with a million distinct terms in a tenant, a term of a query meets
// a stranger's postings once in four thousand times, which changes no ranking that anybody could notice.
type term uint32

// hash is FNV-1a in 64 bits, folded, so that both halves count.
func hash(s string) term {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return term(h ^ h>>32)
}

// entry says how often a term is in each field of a document.
type entry struct {
	term        term
	title, body uint8
}

// vector is an analysed document: entries sorted by term, no term twice.
type vector []entry

// analyse turns a document into its vector. Both fields are of one language.
func analyse(title, body string) vector {
	titleTokens, bodyTokens := tokenise(title), tokenise(body)
	lang := detect(append(titleTokens[:len(titleTokens):len(titleTokens)], bodyTokens...))
	env := snowballstem.NewEnv("")
	v := make(vector, 0, len(titleTokens)+len(bodyTokens))
	for _, t := range titleTokens {
		if s := lang.normalise(t, env); s != "" {
			v = append(v, entry{term: hash(s), title: 1})
		}
	}
	for _, t := range bodyTokens {
		if s := lang.normalise(t, env); s != "" {
			v = append(v, entry{term: hash(s), body: 1})
		}
	}
	return v.merged()
}

// merged sorts a vector and adds up the entries of one term.
func (v vector) merged() vector {
	slices.SortFunc(v, func(a, b entry) int { return cmp.Compare(a.term, b.term) })
	out := v[:0]
	for _, e := range v {
		if n := len(out); n > 0 && out[n-1].term == e.term {
			out[n-1].title = saturated(out[n-1].title, e.title)
			out[n-1].body = saturated(out[n-1].body, e.body)
			continue
		}
		out = append(out, e)
	}
	return out
}

func saturated(a, b uint8) uint8 {
	return uint8(min(int(a)+int(b), 255))
}

const entrySize = 6

// encode gives the stored form: fixed-size records, so that a search can read one without unpacking it.
func (v vector) encode() []byte {
	out := make([]byte, 0, len(v)*entrySize)
	for _, e := range v {
		out = binary.BigEndian.AppendUint32(out, uint32(e.term))
		out = append(out, e.title, e.body)
	}
	return out
}

// decode is the inverse of encode. A torn record at the end is left out.
func decode(data []byte) vector {
	v := make(vector, 0, len(data)/entrySize)
	for ; len(data) >= entrySize; data = data[entrySize:] {
		v = append(v, entry{term: term(binary.BigEndian.Uint32(data)), title: data[4], body: data[5]})
	}
	return v
}

// hasAll reports whether a document has every tag.
func (v vector) hasAll(tags []term) bool {
	for _, t := range tags {
		if _, ok := slices.BinarySearchFunc(v, t, func(e entry, t term) int { return cmp.Compare(e.term, t) }); !ok {
			return false
		}
	}
	return true
}

// tagged adds tags: entries without occurrences, which filter and do not score. Their names cannot meet a word's, which
// never holds a space.
func (v vector) tagged(names ...string) vector {
	for _, name := range names {
		v = append(v, entry{term: tagTerm(name)})
	}
	return v.merged()
}

func tagTerm(name string) term { return hash("tag " + name) }
