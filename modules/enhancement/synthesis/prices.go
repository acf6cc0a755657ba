package synthesis

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"time"
)

// Price is what a model costs from a day on, in USD per million tokens.
type Price struct {
	Model         string  `json:"model"`
	Input         float64 `json:"input"`
	CachedInput   float64 `json:"cached_input"`
	Output        float64 `json:"output"`
	EffectiveFrom string  `json:"effective_from"`
	Source        string  `json:"source"`
}

// Usage is what one call consumed, in tokens. CachedTokens are part of PromptTokens.
type Usage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	CachedTokens     int64 `json:"cached_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
}

//go:embed prices.json
var priceFile []byte

var priceList = func() (list struct {
	Prices      []Price           `json:"prices"`
	Retirements map[string]string `json:"retirements"`
},
) {
	if err := json.Unmarshal(priceFile, &list); err != nil {
		panic("the embedded price list is broken: " + err.Error())
	}
	return list
}()

// snapshot is the date that providers add to a model's name to pin one version of it.
var snapshot = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}$`)

// PriceOf returns the price of a model on a day: the newest one in effect, or the oldest known for days before that.
// It is false for a model that the list does not know; nothing is guessed for it.
func PriceOf(model string, on time.Time) (Price, bool) {
	day, name := on.UTC().Format(time.DateOnly), snapshot.ReplaceAllString(model, "")
	var best Price
	for _, p := range priceList.Prices {
		if p.Model != name {
			continue
		}
		newer := p.EffectiveFrom <= day && (best.EffectiveFrom > day || p.EffectiveFrom > best.EffectiveFrom)
		older := p.EffectiveFrom > day && best.EffectiveFrom > day && p.EffectiveFrom < best.EffectiveFrom
		if best.Model == "" || newer || older {
			best = p
		}
	}
	return best, best.Model != ""
}

// Cost is the price of a call in USD, and the day from which that price holds. Both are zero when the price is unknown.
func (u Usage) Cost(model string, on time.Time) (usd float64, priceDate string) {
	p, ok := PriceOf(model, on)
	if !ok || u.PromptTokens+u.CompletionTokens == 0 {
		return 0, ""
	}
	cached := min(u.CachedTokens, u.PromptTokens)
	const perMillion = 1e6
	usd = (float64(u.PromptTokens-cached)*p.Input + float64(cached)*p.CachedInput + float64(u.CompletionTokens)*p.Output) / perMillion
	return usd, p.EffectiveFrom
}

// RetirementOf returns the day on which the provider announced to shut a model down. It is false when none is known.
func RetirementOf(model string) (time.Time, bool) {
	day, ok := priceList.Retirements[snapshot.ReplaceAllString(model, "")]
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.DateOnly, day)
	return t, err == nil
}
