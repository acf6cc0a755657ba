package synthesis

import (
	"slices"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// Drop records a piece of an answer that was left out, and why. Token is content: it is kept with the run, never logged.
type Drop struct {
	// Part is likely_cause, alternatives, evidence, steps or similar.
	Part string `json:"part"`
	// Cause is one of: address, citation, host, identifier, instruction, mail, number, url.
	Cause string `json:"cause"`
	Token string `json:"token,omitempty"`
}

func (g *ground) drop(part, cause, token string) {
	token = clipSentences(token, 80)
	g.drops = append(g.drops, Drop{Part: part, Cause: cause, Token: token})
}

// text keeps the covered sentences of a text.
func (g *ground) text(part, text string) string {
	var kept []string
	for _, s := range sentences(text) {
		if cause, token := g.fault(s); cause != "" {
			g.drop(part, cause, token)
			continue
		}
		kept = append(kept, s)
	}
	return strings.Join(kept, " ")
}

// whole keeps a text only if all of it is covered: half a step may be the wrong half.
func (g *ground) whole(part, text string) bool {
	for _, s := range sentences(text) {
		if cause, token := g.fault(s); cause != "" {
			g.drop(part, cause, token)
			return false
		}
	}
	return text != ""
}

// citations keeps the ids that exist, each once, in the spelling of the evidence.
func (g *ground) citations(part string, ids []string) []string {
	var kept []string
	for _, id := range ids {
		known := g.ids[strings.ToLower(strings.TrimSpace(id))]
		if known == "" {
			g.drop(part, "citation", id)
			continue
		}
		if !slices.Contains(kept, known) {
			kept = append(kept, known)
		}
	}
	return kept
}

// claims keeps bullets that are covered in full and rest on something.
func (g *ground) claims(part string, in []evidence.Claim) []evidence.Claim {
	var out []evidence.Claim
	for _, c := range in {
		if !g.whole(part, c.Text) {
			continue
		}
		if ids := g.citations(part, c.EvidenceIDs); len(ids) > 0 {
			out = append(out, evidence.Claim{Text: c.Text, EvidenceIDs: ids})
		} else if len(c.EvidenceIDs) == 0 {
			g.drop(part, "citation", "")
		}
	}
	return out
}

// answer holds a restored draft against the evidence. It is false when nothing is left of the likely cause, or when the
// draft, which had something to say, has nothing left at all.
func (g *ground) answer(d draft) (evidence.Answer, bool) {
	a := evidence.Answer{Mode: evidence.Full, Verdict: d.verdict}
	hadCause := d.cause.Text != ""
	if text := g.text("likely_cause", d.cause.Text); text != "" {
		if ids := g.citations("likely_cause", d.cause.EvidenceIDs); len(ids) > 0 {
			a.LikelyCause = &evidence.Claim{Text: text, EvidenceIDs: ids}
		} else if len(d.cause.EvidenceIDs) == 0 {
			g.drop("likely_cause", "citation", "")
		}
	}
	if hadCause && a.LikelyCause == nil {
		return a, false
	}
	a.Alternatives = g.claims("alternatives", d.alternatives)
	a.Evidence = g.claims("evidence", d.evidence)
	for _, s := range d.steps {
		if g.whole("steps", s.Text) {
			s.EvidenceIDs = g.citations("steps", s.EvidenceIDs)
			s.Safety = raiseSafety(s.Safety, s.Text)
			a.Steps = append(a.Steps, s)
		}
	}
	sortSteps(a.Steps)
	for _, r := range d.similar {
		id := g.ids[strings.ToLower(strings.Trim(r.ID, "[]() "))]
		if !g.similar[id] {
			g.drop("similar", "citation", r.ID)
		} else if why := g.text("similar", r.Why); why != "" {
			a.Similar = append(a.Similar, evidence.Remark{ID: id, Why: why})
		}
	}
	if a.Verdict == evidence.ActionSuggested && len(a.Steps) == 0 {
		a.Verdict = evidence.Information
	}
	if a.LikelyCause == nil && len(a.Evidence)+len(a.Steps) == 0 && a.Verdict != evidence.Inconclusive {
		return a, false
	}
	return a, true
}
