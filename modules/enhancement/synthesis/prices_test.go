package synthesis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACallCostsWhatThePriceListSays(t *testing.T) {
	t.Parallel()
	usd, date := Usage{PromptTokens: 1_000_000, CachedTokens: 400_000, CompletionTokens: 100_000}.Cost("gpt-4o-mini", noon)
	require.InDelta(t, 0.6*0.15+0.4*0.075+0.1*0.60, usd, 1e-9)
	require.Equal(t, "2026-11-23", date)

	_, snapshotDate := Usage{PromptTokens: 1}.Cost("gpt-4o-mini-2024-07-18", noon)
	require.Equal(t, date, snapshotDate)
	usd, date = Usage{PromptTokens: 10}.Cost("llama-local", noon)
	require.Zero(t, usd)
	require.Empty(t, date, "nothing is guessed for a model without a price")
	usd, _ = Usage{PromptTokens: 10, CachedTokens: 99}.Cost("gpt-6-luna", noon)
	require.InDelta(t, 10*0.01/1e6, usd, 1e-12, "no server can make a call cheaper than its tokens")
}

func TestThePriceInEffectOnTheDayCounts(t *testing.T) {
	before := priceList.Prices
	t.Cleanup(func() { priceList.Prices = before })
	priceList.Prices = append(append([]Price{}, before...),
		Price{Model: "m", Input: 2, EffectiveFrom: "2026-06-01"}, Price{Model: "m", Input: 1, EffectiveFrom: "2026-01-01"}, Price{Model: "m", Input: 3, EffectiveFrom: "2027-01-01"})
	for day, want := range map[string]float64{"2025-01-01": 1, "2026-01-01": 1, "2026-05-31": 1, "2026-06-01": 2, "2026-12-31": 2, "2027-01-01": 3, "2030-01-01": 3} {
		on, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		p, ok := PriceOf("m", on)
		require.True(t, ok)
		require.InDelta(t, want, p.Input, 0, day)
	}
}

func TestThePriceListIsWhole(t *testing.T) {
	t.Parallel()
	for _, p := range priceList.Prices {
		require.Positive(t, p.Input, p.Model)
		require.Positive(t, p.Output, p.Model)
		require.Less(t, p.CachedInput, p.Input, p.Model)
		require.Contains(t, p.Source, "https://", p.Model)
		_, err := time.Parse(time.DateOnly, p.EffectiveFrom)
		require.NoError(t, err, p.Model)
	}
	for m := range priceList.Retirements {
		_, ok := RetirementOf(m)
		require.True(t, ok, m)
	}
	day, ok := RetirementOf("gpt-4o-mini-2024-07-18")
	require.True(t, ok)
	require.Equal(t, "2027-01-14", day.Format(time.DateOnly))
	_, ok = RetirementOf("gpt-6-luna")
	require.False(t, ok)
}
