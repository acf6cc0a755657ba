package note

import (
	"slices"
	"strings"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// What a line is worth when the note is too long. The first of a kind is worth more than the next ones.
const (
	worthStorm    = 900
	worthStep     = 850
	worthEvidence = 780
	worthSimilar  = 760
	worthSystem   = 600
	worthDocument = 560
	worthHostFact = 580
	worthNothing  = 400
	worthNearby   = 200
	worthAlso     = 100
	perPlace      = 90  // off for every place further down
	perStep       = 40  // the same for steps, which are worth little alone
	worthKeeping  = 620 // three steps, two bullets, two similar tickets
)

func worthAt(worth, place int) int { return max(1, worth-perPlace*place) }

const (
	mostEvidence   = 3
	mostSteps      = 4
	mostAlso       = 2
	mostSimilar    = 4
	mostDocuments  = 4
	mostSystems    = 6
	mostMonitoring = 6
)

func (w writer) why() block {
	b := block{heading: w.say.say("why"), list: true}
	for i, c := range w.in.Answer.Evidence[:min(mostEvidence, len(w.in.Answer.Evidence))] {
		text := w.field(c.Text, 35)
		if c.Text == "" {
			text = w.say.say("same_terms", w.field(strings.Join(c.Terms, ", "), 12))
		}
		b.lines = append(b.lines, line{spans: append([]span{{text: text}}, citations(c.EvidenceIDs)...), worth: worthAt(worthEvidence, i)})
	}
	return b
}

func (w writer) next() block {
	b := block{heading: w.say.say("next"), list: true, ordered: true}
	steps := slices.Clone(w.in.Answer.Steps)
	slices.SortStableFunc(steps, func(x, y evidence.Step) int { return x.Safety.Rank() - y.Safety.Rank() })
	for i, s := range steps[:min(mostSteps, len(steps))] {
		safety := s.Safety
		if safety != evidence.ReadOnly && safety != evidence.Reversible {
			safety = evidence.NeedsApproval
		}
		text, cited := w.field(s.Text, 40), citations(s.EvidenceIDs)
		if w.in.Answer.Mode != evidence.Full && len(s.EvidenceIDs) > 0 {
			// Rules quote what was done or written elsewhere, and in its tense.
			text, cited = w.say.say("as_in", field(s.EvidenceIDs[0], 3), text), nil
		}
		spans := []span{{text: text + " ("}, {w.say.say("safety." + string(safety)), strong}, {text: ")"}}
		b.lines = append(b.lines, line{spans: append(spans, cited...), worth: worthStep - perStep*i})
	}
	return b
}

func (w writer) also() block {
	b := block{heading: w.say.say("also"), list: true}
	for i, c := range w.in.Answer.Alternatives[:min(mostAlso, len(w.in.Answer.Alternatives))] {
		b.lines = append(b.lines, line{spans: append([]span{{text: w.field(c.Text, 30)}}, citations(c.EvidenceIDs)...), worth: worthAt(worthAlso, i)})
	}
	return b
}

func (w writer) similar() block {
	b := block{heading: w.say.say("similar"), list: true}
	for i, s := range w.in.Bundle.Similar[:min(mostSimilar, len(w.in.Bundle.Similar))] {
		head := field(s.ID, 3)
		if !s.ResolvedAt.IsZero() {
			head += " (" + s.ResolvedAt.UTC().Format(time.DateOnly) + ")"
		}
		spans := []span{{head, strong}, {text: ": " + w.field(s.Subject, 16)}}
		if fix := w.field(s.Resolution, 35); fix != "" {
			spans = append(spans, span{text: ". " + w.say.say("fix", fix)})
		}
		for _, r := range w.in.Answer.Similar {
			if why := w.field(r.Why, 20); r.ID == s.ID && why != "" {
				spans = append(spans, span{text: " (" + strings.TrimRight(why, ".") + ")"})
				break
			}
		}
		b.lines = append(b.lines, line{spans: spans, worth: worthAt(worthSimilar, i)})
	}
	return b
}

func (w writer) documents() block {
	b := block{heading: w.say.say("documents"), list: true}
	for i, a := range w.in.Bundle.Articles[:min(mostDocuments, len(w.in.Bundle.Articles))] {
		text := ": " + w.field(a.Title, 16)
		if a.Section != "" {
			text += " › " + w.field(a.Section, 12)
		}
		b.lines = append(b.lines, line{spans: []span{{field(a.ID, 3), strong}, {text: text}}, worth: worthAt(worthDocument, i)})
	}
	return b
}

func (w writer) systems() block {
	b := block{heading: w.say.say("systems"), list: true}
	for i, s := range w.in.Bundle.Systems[:min(mostSystems, len(w.in.Bundle.Systems))] {
		name := s.Hostname
		if name == "" {
			name = s.IP
		}
		if name == "" {
			name = s.MatchedBy
		}
		spans := []span{{field(s.ID, 3), strong}, {text: ": "}, {field(name, 3), code}}
		var facts []string
		if s.IP != "" && s.IP != name {
			facts = append(facts, field(s.IP, 2))
		}
		for _, f := range []string{w.field(s.Role, 10), w.field(s.Location, 10)} {
			if f != "" {
				facts = append(facts, f)
			}
		}
		if s.How == "unknown" {
			facts = append(facts, w.say.say("unknown_system"))
		}
		if s.Retired {
			facts = append(facts, w.say.say("retired"))
		}
		if len(facts) > 0 {
			spans = append(spans, span{text: " · " + strings.Join(facts, " · ")})
		}
		b.lines = append(b.lines, line{spans: spans, worth: worthAt(worthSystem, i)})
	}
	return b
}

// monitoring prints facts about the ticket's hosts before things that merely happened at the same time.
func (w writer) monitoring() block {
	b := block{heading: w.say.say("monitoring"), list: true}
	observations := slices.Clone(w.in.Bundle.Monitoring)
	slices.SortStableFunc(observations, func(x, y evidence.Observation) int {
		if x.AboutHost == y.AboutHost {
			return 0
		} else if x.AboutHost {
			return -1
		}
		return 1
	})
	for i, m := range observations[:min(mostMonitoring, len(observations))] {
		spans := []span{{field(m.ID, 2), strong}, {text: " " + field(m.Provider, 3) + " "}}
		if m.Host != "" {
			spans = append(spans, span{field(m.Host, 2), code})
		}
		facts := []string{}
		if m.Severity != "" {
			facts = append(facts, field(m.Severity, 3))
		}
		if !m.Since.IsZero() {
			facts = append(facts, w.say.say("since", stamp(m.Since)))
		}
		worth := worthHostFact
		if !m.AboutHost {
			facts, worth = append(facts, w.say.say("near_in_time")), worthNearby
		}
		spans = append(spans, span{text: ": " + w.field(m.Summary, 25)})
		if len(facts) > 0 {
			spans = append(spans, span{text: " (" + strings.Join(facts, ", ") + ")"})
		}
		b.lines = append(b.lines, line{spans: spans, worth: worthAt(worth, i)})
	}
	return b
}

// notChecked tells silence from absence: a source that was not asked, and why, apart from one that had nothing.
func (w writer) notChecked() block {
	b := block{heading: w.say.say("not_checked"), list: true}
	var nothing []string
	for _, s := range w.in.Bundle.Sources {
		name := w.say.say("source." + field(s.Name, 3))
		switch s.Outcome {
		case evidence.Found:
		case evidence.Nothing:
			nothing = append(nothing, name)
		case evidence.Failed, evidence.TimedOut, evidence.NotConfigured, evidence.Skipped:
			text := name + ": " + w.say.say("outcome."+string(s.Outcome))
			if reason := w.field(s.Reason, 12); reason != "" {
				text += " (" + reason + ")"
			}
			b.lines = append(b.lines, essentialLine(text))
		}
	}
	if b.empty() && len(w.in.Bundle.Sources) > 0 {
		b.lines = append(b.lines, essentialLine(w.say.say("all_checked")))
	}
	if len(nothing) > 0 {
		b.lines = append(b.lines, line{spans: []span{{text: w.say.say("nothing", strings.Join(nothing, ", "))}}, worth: worthNothing})
	}
	return b
}
