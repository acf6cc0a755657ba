package retrieval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSegmentScoresLikeTheVectors holds the compressed form against the exact one.
func TestSegmentScoresLikeTheVectors(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var documents []indexed
	for i := range 700 { // ordinals beyond one byte's worth of delta
		text := "common"
		for range 1 + random.IntN(30) {
			text += fmt.Sprintf(" w%d", random.IntN(200))
		}
		documents = append(documents, indexed{int64(1000 + 3*i), analyse("", text)})
	}
	documents[699].vector = analyse("", "rare")
	total := corpus{}.plus(documents)
	s := buildSegment(documents, total.averageLength())
	terms, _ := weigh(analyse("", "common w1 w2 w3 rare"), total, map[term]int{
		hash("common"): 699, hash("w1"): 50, hash("w2"): 60, hash("w3"): 70, hash("rare"): 1,
	})
	scores := make([]float32, len(documents))
	for _, wanted := range terms {
		for i, have := range s.terms {
			if have == wanted.term {
				accumulate(scores, s.postings[i], wanted.weight)
			}
		}
	}
	for i, d := range documents {
		exact := score(terms, d.vector, total.averageLength())
		require.InDelta(t, exact, scores[i], 0.02*math.Max(1, exact), "document %d", i)
	}
	require.Equal(t, s.documentIDs, decodeIDs(encodeIDs(s.documentIDs)))
}

func TestADamagedPostingListEndsWithoutHarm(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{nil, {1}, {200}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}, {9, 255}} {
		scores := make([]float32, 3)
		accumulate(scores, data, 1)
		require.Equal(t, []float32{0, 0, 0}, scores, "%v", data)
	}
	scores := make([]float32, 3)
	accumulate(scores, []byte{1, 255, 1, 255}, 1)
	require.Equal(t, []float32{0, 1, 1}, scores, "a sound one counts")
}

func TestKeepTaggedDropsTheOthers(t *testing.T) {
	t.Parallel()
	scores := []float32{3, 4, 5}
	keepTagged(scores, []byte{1, 0})
	require.Equal(t, []float32{0, 4, 0}, scores)
}

func TestBestKeepsTheHighestInAFixedOrder(t *testing.T) {
	t.Parallel()
	b := best{k: 3}
	for _, i := range rand.Perm(100) {
		b.add(int64(i), float64(i/2)) // pairs of equal scores
	}
	b.prune()
	require.Equal(t, []scored{{98, 49}, {99, 49}, {96, 48}}, b.found)
}

func TestChooseMergedKeepsSegmentsFew(t *testing.T) {
	t.Parallel()
	var segments []segmentRow
	rewritten := 0
	for range 200 {
		size := foldAt
		merged := chooseMerged(segments, size)
		gone := map[int64]bool{}
		for _, m := range merged {
			size += int(m.Documents)
			rewritten += int(m.Documents)
			gone[m.SegmentID] = true
		}
		var kept []segmentRow
		for _, s := range segments {
			if !gone[s.SegmentID] {
				kept = append(kept, s)
			}
		}
		segments = append(kept, segmentRow{SegmentID: int64(rewritten + len(kept) + 1_000_000*len(segments)), Documents: int32(size)})
		require.LessOrEqual(t, size, maxSegment)
	}
	require.Less(t, len(segments), 12, "100,000 documents")
	require.Less(t, rewritten, 8*200*foldAt, "a document is rewritten a few times only")
}
