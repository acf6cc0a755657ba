package synthesis

import (
	"math"
	"slices"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// The weights of the confidence. They are a formula over what was found and what survived the grounding, so that two runs
// on the same evidence agree; they are set by judgement, and to be replaced by calibration once feedback exists.
const (
	baseValue         = 0.15
	weightSimilarity  = 0.55 // times the best score among the cited past tickets
	perKind           = 0.10 // for every further kind of source that is cited
	perTicket         = 0.05 // for every further past ticket that is cited
	perDrop           = 0.08 // off, for every piece that the grounding took away
	perMissingSource  = 0.04 // off, for every source that could not be asked
	inconclusiveLimit = 0.30
	mediumFrom        = 0.45
	highFrom          = 0.70
)

// confidence gives a value its level.
func confidence(value float64) evidence.Confidence {
	value = math.Round(min(0.95, max(0, value))*100) / 100
	level := "low"
	switch {
	case value >= highFrom:
		level = "high"
	case value >= mediumFrom:
		level = "medium"
	}
	return evidence.Confidence{Level: level, Value: value}
}

func answerConfidence(b evidence.Bundle, a evidence.Answer, drops int) evidence.Confidence {
	var cited []string
	if a.LikelyCause != nil {
		cited = append(cited, a.LikelyCause.EvidenceIDs...)
	}
	for _, e := range a.Evidence {
		cited = append(cited, e.EvidenceIDs...)
	}
	best, tickets := 0.0, 0
	for _, s := range b.Similar {
		if slices.Contains(cited, s.ID) {
			best, tickets = max(best, s.Score), tickets+1
		}
	}
	kinds := map[string]bool{}
	for _, id := range cited {
		if kind, _, ok := strings.Cut(id, "-"); ok {
			kinds[kind] = true
		}
	}
	value := baseValue + weightSimilarity*best + perKind*float64(max(0, min(3, len(kinds)-1))) + perTicket*float64(max(0, min(2, tickets-1))) -
		perDrop*float64(min(4, drops)) - perMissingSource*float64(missingSources(b))
	if a.Verdict == evidence.Inconclusive || a.LikelyCause == nil {
		value = min(value, inconclusiveLimit)
	}
	return confidence(max(0.05, value))
}

func factsConfidence(b evidence.Bundle, best evidence.SimilarTicket) evidence.Confidence {
	value := baseValue + weightSimilarity*best.Score - perMissingSource*float64(missingSources(b))
	if len(sharedTerms(b.Ticket, best)) > 0 {
		value += perKind
	}
	return confidence(value)
}

func missingSources(b evidence.Bundle) int {
	n := 0
	for _, s := range b.Sources {
		if s.Outcome == evidence.Failed || s.Outcome == evidence.TimedOut {
			n++
		}
	}
	return n
}

func sortSteps(steps []evidence.Step) {
	slices.SortStableFunc(steps, func(x, y evidence.Step) int { return x.Safety.Rank() - y.Safety.Rank() })
}
