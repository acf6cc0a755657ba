package synthesis

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

// looksLikeBar is the calibrated probability from which on a past ticket is named as the same case without a model's say.
const looksLikeBar = 0.5

const (
	stepsOfTicket  = 3
	maxSharedTerms = 5
	shortestStep   = 12 // runes; "Done." and "Closed" tell nothing
	longestStep    = 280
)

// FactsOnly arranges the evidence by rules alone: the best past ticket if it is close enough, its fix and the best article
// as steps, safest first. It invents no sentence, and needs no language: whatever is said around it, the renderer says.
func FactsOnly(b evidence.Bundle, reason evidence.Reason) evidence.Answer {
	b, _ = evidence.Clean(b)
	a := evidence.Answer{Mode: evidence.FactsOnly, Reason: reason, Verdict: evidence.Inconclusive, Confidence: confidence(0)}
	best := bestTicket(b)
	if best != nil && best.Score >= looksLikeBar {
		a.Verdict, a.LooksLike = evidence.ActionSuggested, best.ID
		a.Confidence = factsConfidence(b, *best)
		a.Steps = quotedSteps(best.Resolution, best.ID, stepsOfTicket)
		if shared := sharedTerms(b.Ticket, *best); len(shared) > 0 {
			a.Evidence = append(a.Evidence, evidence.Claim{Terms: shared, EvidenceIDs: []string{best.ID}})
		}
	}
	if len(b.Articles) > 0 {
		article := b.Articles[0]
		a.Steps = append(a.Steps, quotedSteps(article.Excerpt, article.ID, maxSteps-len(a.Steps))...)
	}
	if a.LooksLike == "" && hasEvidence(b) {
		a.Verdict = evidence.Information
	}
	sortSteps(a.Steps)
	return a
}

func bestTicket(b evidence.Bundle) *evidence.SimilarTicket {
	var best *evidence.SimilarTicket
	for i := range b.Similar {
		if best == nil || b.Similar[i].Score > best.Score {
			best = &b.Similar[i]
		}
	}
	return best
}

// hasEvidence reports whether anything was found that says something about this ticket.
func hasEvidence(b evidence.Bundle) bool {
	for _, s := range b.Systems {
		if s.How != "unknown" {
			return true
		}
	}
	return len(b.Similar)+len(b.Articles)+len(b.Monitoring) > 0
}

var listMark = regexp.MustCompile(`^\s*(?:\d{1,2}[.)]|[-*•])\s+`)

// quotedSteps takes sentences of a solved ticket or an article as they stand.
func quotedSteps(text, id string, limit int) []evidence.Step {
	var steps []evidence.Step
	for _, s := range sentences(text) {
		s = listMark.ReplaceAllString(s, "")
		if len(steps) >= limit {
			break
		}
		if utf8.RuneCountInString(s) < shortestStep || strings.HasSuffix(s, ":") || !strings.Contains(s, " ") || !tellsAnAct(s) || instructionIn(s, strings.ToLower(s)) != "" {
			continue
		}
		steps = append(steps, evidence.Step{Text: clipSentences(s, longestStep), Safety: quotedSafety(s), EvidenceIDs: []string{id}})
	}
	return steps
}

// sharedTerms are the names and codes that stand in both tickets. Words and small numbers prove nothing.
func sharedTerms(t evidence.Ticket, s evidence.SimilarTicket) []string {
	theirs := map[string]bool{}
	for _, w := range words(s.Subject + "\n" + s.Excerpt + "\n" + s.Resolution) {
		theirs[strings.ToLower(w)] = true
	}
	var shared []string
	seen := map[string]bool{}
	for _, w := range words(t.Text()) {
		low := strings.ToLower(w)
		if !theirs[low] || seen[low] || !hasDigits(w) || utf8.RuneCountInString(w) < 4 || len(shared) == maxSharedTerms {
			continue
		}
		seen[low] = true
		shared = append(shared, w)
	}
	return shared
}
