package eval

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// TestRankingHoldsItsFloor runs the whole evaluation on a small part of the data. RETRIEVAL_DATA names a folder with all of it.
func TestRankingHoldsItsFloor(t *testing.T) {
	t.Parallel()
	data, floor := "testdata/duplicates", 0.72
	if full := os.Getenv("RETRIEVAL_DATA"); full != "" {
		data, floor = full, 0.73
	}
	report, err := Run(t.Context(), dbtest.New(t).DB, Options{Data: data, Split: "dev"})
	require.NoError(t, err)

	var table bytes.Buffer
	require.NoError(t, report.WriteTable(&table))
	t.Log("\n" + table.String())
	require.GreaterOrEqual(t, report.Overall.NDCG10, floor)
	require.GreaterOrEqual(t, report.Overall.Recall10, floor)
	require.LessOrEqual(t, report.Calibration.ECE, 0.05)
	require.Less(t, report.Calibration.Brier, report.Calibration.BaseBrier, "better than always saying the base rate")
	encoded, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"ndcg_at_10"`)
}

// TestAblation guards the reason for each part of the ranking, and that numbers which tell nothing do no harm.
func TestAblation(t *testing.T) {
	t.Parallel()
	data, full := "testdata/duplicates", false
	if folder := os.Getenv("RETRIEVAL_DATA"); folder != "" {
		data, full = folder, true
	}
	ablation, err := Ablate(t.Context(), dbtest.New(t).DB, Options{Data: data, Split: "dev"})
	require.NoError(t, err)
	var table bytes.Buffer
	require.NoError(t, ablation.WriteTable(&table))
	t.Log("\n" + table.String())
	of := map[string]Variant{}
	for _, v := range ablation.Variants {
		of[v.Name] = v
	}
	text, random := of["text: all four"].All, of["numbers at random: all"].All
	require.Greater(t, text, of["BM25 only"].All)
	require.GreaterOrEqual(t, random, of["numbers at random: text"].All-0.01, "numbers that tell nothing do no harm")
	require.Less(t, of["numbers at random: always trusted"].All, text-0.03, "believed blindly, they do")
	if full {
		require.GreaterOrEqual(t, of["all, as searches rank"].LeftOut, text, "neutral or better on tenants that the weights have not seen")
	}
}

// TestScale is a smoke test. RETRIEVAL_SCALE=10000,100000,1000000 makes it the benchmark.
func TestScale(t *testing.T) {
	t.Parallel()
	o := ScaleOptions{Sizes: []int{300, 1500}, Queries: 20, Inserts: 10}
	if sizes := os.Getenv("RETRIEVAL_SCALE"); sizes != "" {
		o = ScaleOptions{Queries: 300, Inserts: 200}
		for size := range strings.SplitSeq(sizes, ",") {
			n, err := strconv.Atoi(size)
			require.NoError(t, err)
			o.Sizes = append(o.Sizes, n)
		}
	}
	steps, err := Scale(t.Context(), dbtest.New(t).DB, o)
	require.NoError(t, err)
	var table bytes.Buffer
	require.NoError(t, WriteScaleTable(&table, steps))
	t.Log("\n" + table.String())
	for _, step := range steps {
		require.GreaterOrEqual(t, step.Found, 0.9, "%d tickets", step.Tickets)
	}
}

func TestMetricsByHand(t *testing.T) {
	t.Parallel()
	m := summarise("x", 9, []measured{
		{relevant: 2, hits: []bool{false, true, false, true}, took: 2 * time.Millisecond},
		{relevant: 1, hits: []bool{false, false}, took: 4 * time.Millisecond},
	})
	ndcg := (1/math.Log2(3) + 1/math.Log2(5)) / (1 + 1/math.Log2(3))
	require.InDelta(t, 0.5/2, m.MRR10, 1e-9)
	require.InDelta(t, (1.0/2+2.0/4)/2/2, m.MAP100, 1e-9)
	require.InDelta(t, 0, m.P1, 1e-9)
	require.InDelta(t, 1.0/2, m.Recall5, 1e-9)
	require.InDelta(t, ndcg/2, m.NDCG10, 1e-9)
	require.InDelta(t, 2, m.MedianMS, 1e-9)
	require.InDelta(t, 4, m.P95MS, 1e-9)
}

func TestCalibrationByHand(t *testing.T) {
	t.Parallel()
	table := calibration([]judged{
		{probability: 0.95, relevant: true}, {probability: 0.95, relevant: true}, {probability: 0.15, relevant: false}, {probability: 0.15, relevant: true},
	})
	require.InDelta(t, (2*0.05+2*0.35)/4, table.ECE, 1e-9)
	require.InDelta(t, (2*0.05*0.05+0.15*0.15+0.85*0.85)/4, table.Brier, 1e-9)
	require.InDelta(t, 0.75*0.25, table.BaseBrier, 1e-9)
	require.Equal(t, 2, table.Bins[2].Results)
}

func TestFitFindsTheCoefficientsThatMadeTheData(t *testing.T) {
	t.Parallel()
	var results []judged
	for i := range 4000 {
		rank := float64(i%40)/10 - 2
		p := 1 / (1 + math.Exp(-(0.5 + 1.5*rank)))
		r := judged{relevant: float64(i/40%100) < 100*p}
		r.evidence.Rank = rank
		results = append(results, r)
	}
	got := fit(results)
	require.InDelta(t, 0.5, got[0], 0.1)
	require.InDelta(t, 1.5, got[1], 0.1)
}

func TestRunNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), nil, Options{Data: t.TempDir(), Split: "dev"})
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = Run(t.Context(), nil, Options{Data: "testdata/duplicates", Split: "test"})
	require.ErrorContains(t, err, "queries.test.jsonl.gz")
}
