package retrieval

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// maxSegment keeps ordinals small and a fold's memory and transaction short. A larger history has several full segments.
const maxSegment = 16_384

// segment is the inverted form of a set of documents, before it is written. Documents are known by their ordinal in it.
type segment struct {
	documentIDs []int64
	length      int64
	terms       []term
	frequencies []int32
	postings    [][]byte
}

// indexed is a document with its vector.
type indexed struct {
	id     int64
	vector vector
}

// buildSegment inverts documents. The strength of a posting is its saturation, rounded to a byte: it picks candidates,
// which are then scored exactly, so the rounding, and an average length that has moved on, cost nothing that shows.
func buildSegment(documents []indexed, average float64) segment {
	slices.SortFunc(documents, func(a, b indexed) int { return cmp.Compare(a.id, b.id) })
	type list struct {
		data  []byte
		last  int
		count int32
	}
	lists := map[term]*list{}
	s := segment{documentIDs: make([]int64, len(documents))}
	for ordinal, d := range documents {
		s.documentIDs[ordinal] = d.id
		length := d.vector.length()
		s.length += int64(length)
		for _, e := range d.vector {
			l := lists[e.term]
			if l == nil {
				l = &list{}
				lists[e.term] = l
			}
			l.data = binary.AppendUvarint(l.data, uint64(ordinal-l.last))
			l.data = append(l.data, byte(math.Round(255*saturation(e.weight(), length, average))))
			l.last = ordinal
			l.count++
		}
	}
	for t := range lists {
		s.terms = append(s.terms, t)
	}
	slices.Sort(s.terms)
	for _, t := range s.terms {
		s.frequencies = append(s.frequencies, lists[t].count)
		s.postings = append(s.postings, lists[t].data)
	}
	return s
}

// each gives the ordinal and the strength of every posting. A list that does not decode, or that leads out of its segment,
// ends there: the documents it would have named are merely not found.
func each(postings []byte, documents int, visit func(ordinal int, strength byte)) {
	ordinal := uint64(0)
	for len(postings) > 1 {
		delta, n := uint64(postings[0]), 1
		if delta >= 0x80 {
			if delta, n = binary.Uvarint(postings); n <= 0 || n >= len(postings) {
				return
			}
		}
		if ordinal += delta; ordinal >= uint64(documents) {
			return
		}
		visit(int(ordinal), postings[n])
		postings = postings[n+1:]
	}
}

// accumulate adds weight times strength to the score of each document of a posting list.
func accumulate(scores []float32, postings []byte, weight float64) {
	w := float32(weight / 255)
	each(postings, len(scores), func(ordinal int, strength byte) { scores[ordinal] += w * float32(strength) })
}

// keepTagged sets the score of every document to 0 that is not in the posting list of a tag.
func keepTagged(scores []float32, postings []byte) {
	kept := make([]float32, len(scores))
	each(postings, len(scores), func(ordinal int, _ byte) { kept[ordinal] = 1 })
	for i := range scores {
		scores[i] *= kept[i]
	}
}

func encodeIDs(ids []int64) []byte {
	var out []byte
	last := int64(0)
	for _, id := range ids {
		out = binary.AppendVarint(out, id-last)
		last = id
	}
	return out
}

func decodeIDs(data []byte) []int64 {
	ids := make([]int64, 0, len(data))
	last := int64(0)
	for len(data) > 0 {
		delta, n := binary.Varint(data)
		if n <= 0 {
			return ids
		}
		last += delta
		ids = append(ids, last)
		data = data[n:]
	}
	return ids
}

// best keeps the k documents with the highest scores. Equal scores prefer the smaller id, so that the same search gives
// the same answer.
type best struct {
	k     int
	floor float64 // what a further document has to reach
	found []scored
}

type scored struct {
	id    int64
	score float64
}

func (b *best) add(id int64, score float64) {
	if !b.wants(score) {
		return
	}
	if b.found = append(b.found, scored{id, score}); len(b.found) >= 4*b.k {
		b.prune()
		b.floor = b.found[b.k-1].score
	}
}

// wants reports whether a document with this score may be among the best. One that only reaches the floor may be, by its id.
func (b *best) wants(score float64) bool { return score > 0 && score >= b.floor }

// prune sorts what was found, best first, and drops what is beyond the k-th.
func (b *best) prune() {
	slices.SortFunc(b.found, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.id, y.id))
	})
	b.found = b.found[:min(len(b.found), b.k)]
}
