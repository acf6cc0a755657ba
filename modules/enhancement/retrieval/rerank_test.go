package retrieval

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func numbered(ids ...string) []candidate {
	candidates := make([]candidate, len(ids))
	for i, id := range ids {
		candidates[i].number = numberOf(id)
	}
	return candidates
}

func TestNearnessNeedsOneSeries(t *testing.T) {
	t.Parallel()
	near := nearness(numberOf("INC-1000"), numbered("INC-999", "INC-10", "REQ-999", "unnumbered"))
	require.Greater(t, near[0], near[1])
	require.InDelta(t, 0, near[0]+near[1], 1e-9, "nearer and farther than the candidates at large")
	require.Zero(t, near[2])
	require.Zero(t, near[3])
	require.Equal(t, []float64{0}, nearness(numberOf(""), numbered("1")))
}

// TestNumbersAreTrustedWhereTroublesComeInBursts makes ten troubles of six tickets each: numbered as they came, and at random.
func TestNumbersAreTrustedWhereTroublesComeInBursts(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	make60 := func(id func(int) string) []candidate {
		candidates := make([]candidate, 60)
		for i := range candidates {
			text := fmt.Sprintf("shared trouble%d cause%d effect%d word%d", i/6, i/6, i/6, random.IntN(30))
			candidates[i] = candidate{vector: analyse("", text), number: numberOf(id(i))}
		}
		return candidates
	}
	bursts := func(candidates []candidate) float64 { return bursts(candidates, len(weighTerms(candidates))) }
	require.InDelta(t, 1, bursts(make60(func(i int) string { return fmt.Sprint(1000*(i/6) + i%6) })), 1e-9)
	permutation := random.Perm(60)
	require.Less(t, bursts(make60(func(i int) string { return fmt.Sprint(7 * permutation[i]) })), 0.3)
	require.Zero(t, bursts(make60(func(i int) string { return fmt.Sprintf("%d-x", i) })), "no numbers")
	require.Zero(t, bursts(make60(func(i int) string { return fmt.Sprintf("S%d-%d", i, i) })), "each a series of its own")
	require.Zero(t, bursts(nil))
}

func TestWhatIsLikeEverythingIsCommon(t *testing.T) {
	t.Parallel()
	candidates := []candidate{}
	for _, text := range []string{"crash start page", "crash start menu", "crash start disk", "crash fan noise"} {
		candidates = append(candidates, candidate{vector: analyse("", text), relevance: 0.5})
	}
	common := commonness(candidates, len(weighTerms(candidates)))
	require.Greater(t, common[0], common[3])
}

func TestATitleIsExplainedByTheBody(t *testing.T) {
	t.Parallel()
	candidates := []candidate{
		{vector: analyse("spooler stopped", "nobody prints")}, {vector: analyse("badge reader", "door")}, {vector: analyse("", "spooler")},
	}
	query := analyse("cannot print", "the spooler has stopped again")
	rarity := weighTerms(candidates)
	require.InDelta(t, 1, explained(candidates[0], query, rarity), 1e-9)
	require.Zero(t, explained(candidates[1], query, rarity))
	require.Zero(t, explained(candidates[2], query, rarity), "no title")
}

// BenchmarkCompare is the second step on a full set of candidates of about a hundred words each.
func BenchmarkCompare(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 6))
	text := func(n int) string {
		words := ""
		for range n {
			words += fmt.Sprintf(" word%d", random.IntN(40)*random.IntN(40))
		}
		return words
	}
	candidates := make([]candidate, candidateLimit)
	for i := range candidates {
		title := text(8)
		candidates[i] = candidate{vector: analyse(title, text(100)), title: trigrams(title), number: numberOf(fmt.Sprint(i)), relevance: 0.5}
	}
	q := Query{Subject: text(8), ExcludeTicketID: "1000"}
	query := analyse(q.Subject, text(100))
	b.ReportAllocs()
	for b.Loop() {
		compare(q, query, candidates)
	}
}

func TestNumberingIsThatOfAMap(t *testing.T) {
	t.Parallel()
	numbers, want := newNumbering(1), map[uint64]int32{}
	for i := range uint64(10_000) {
		key := i * i % 3001 << (i % 40) // neighbours, multiples of large powers of two, and many again
		if _, ok := want[key]; !ok {
			want[key] = int32(len(want))
		}
		require.Equal(t, want[key], numbers.of(key), "key %d", key)
	}
	require.Greater(t, len(want), 3000, "the table has grown")
}
