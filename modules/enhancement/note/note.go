package note

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"

	"aiagents/modules/enhancement/evidence"
)

// Limits of a note. The desk documents none for its own field; 32 KiB is safe for form posts on default servers.
const (
	DefaultWords = 500
	leastWords   = 100
	maxBytes     = 32 << 10
)

// Input is everything that a note is made of.
type Input struct {
	Bundle evidence.Bundle
	// Answer says in Mode whether the note is full or facts-only, and in Reason why.
	Answer evidence.Answer
	// Reference is the visible mark of the enhancement, from NewReference.
	Reference string
	// Language is a code such as "de"; English when unknown.
	Language string
	// MaxWords is 500 when 0 or larger, and 100 when smaller.
	MaxWords int
	// Model is named in the label of a full note.
	Model string
	// Elapsed is the time from the webhook to the note; GeneratedAt the time of the note. Zero values are not printed.
	Elapsed     time.Duration
	GeneratedAt time.Time
}

// policy is the second wall: it would cut what the escaping let through.
var policy = bluemonday.NewPolicy().AllowElements("p", "br", "ul", "ol", "li", "strong", "code", "pre")

// Render returns the note as HTML for the service desk, and the same note as unwrapped text.
func Render(in Input) (html, text string) {
	d := compose(in)
	return policy.Sanitize(d.html()), d.text(0)
}

// Text returns the note for a terminal of a width in columns; 0 means 88.
func Text(in Input, width int) string {
	if width <= 0 {
		width = 88
	}
	return compose(in).text(max(width, 20))
}

// Words counts the words of a rendered text, list marks included.
func Words(text string) int { return len(strings.Fields(text)) }

// compose builds the document and makes it fit. Texts get tighter limits when lines worth keeping would have to go: three
// short steps are better than one long one.
func compose(in Input) document {
	limit := in.MaxWords
	if limit <= 0 || limit > DefaultWords {
		limit = DefaultWords
	}
	limit = max(limit, leastWords)
	var d document
	for _, tight := range []int{1, 2, 4} {
		w := writer{in: in, say: phrasesFor(in.Language), tight: tight}
		var lost int
		d, lost = fit(w.document(), limit, w.say)
		if lost < worthKeeping && fits(d, limit) {
			break
		}
	}
	return d
}

func fits(d document, limit int) bool { return d.words() <= limit && len(d.html()) <= maxBytes }

// fit leaves out lines until the document is within its limits, and says how many are missing. It returns the worth of the
// best line that had to go.
func fit(d document, limit int, say phrases) (document, int) {
	left, lost := 0, 0
	for !fits(d, limit) {
		b, l, ok := d.leastWorth()
		if !ok {
			break
		}
		lost = max(lost, d[b].lines[l].worth)
		d[b].lines = slices.Delete(d[b].lines, l, l+1)
		left++
		notice := essentialLine(say.say("not_shown", left))
		unchecked := &d[len(d)-2]
		if left > 1 {
			unchecked.lines[len(unchecked.lines)-1] = notice
		} else {
			unchecked.lines = append(unchecked.lines, notice)
		}
	}
	return d, lost
}

// writer turns an input into blocks. tight divides the word limits of texts.
type writer struct {
	in    Input
	say   phrases
	tight int
}

func (w writer) field(s string, words int) string { return field(s, max(6, words/w.tight)) }

// document has the verdict first; the last two blocks are always what was not checked, and the footer.
func (w writer) document() document {
	return document{
		w.verdict(), w.storm(), w.why(), w.next(), w.also(), w.similar(), w.documents(), w.systems(), w.monitoring(), w.notChecked(), w.footer(),
	}
}

func (w writer) verdict() block {
	a := w.in.Answer
	head := w.say.say("verdict." + string(a.Verdict))
	var ids []string
	switch {
	case a.LikelyCause != nil:
		head += " – " + w.say.say("likely", w.field(a.LikelyCause.Text, 70))
		ids = a.LikelyCause.EvidenceIDs
	case a.LooksLike != "":
		head += " – " + w.say.say("looks_like", field(a.LooksLike, 3), w.field(w.subject(a.LooksLike), 18))
		ids = []string{a.LooksLike}
	case len(w.in.Bundle.Similar)+len(w.in.Bundle.Articles) == 0:
		head += " – " + w.say.say("no_history")
	}
	first := line{spans: append([]span{{head, strong}}, citations(ids)...), worth: essential}
	var second []string
	if a.Mode == evidence.Full {
		second = append(second, w.say.say("title"))
	} else {
		second = append(second, w.say.say("facts_title"))
	}
	if a.Confidence.Value > 0 && (a.LikelyCause != nil || a.LooksLike != "") {
		second = append(second, w.say.say("confidence", w.say.say("level."+a.Confidence.Level), fmt.Sprintf("%.2f", a.Confidence.Value)))
	}
	lines := []line{first, essentialLine(strings.Join(second, " · "))}
	if a.Mode != evidence.Full {
		lines = append(lines, essentialLine(w.say.say("facts_only", w.say.say("reason."+string(a.Reason)))))
	}
	return block{lines: lines}
}

func (w writer) subject(id string) string {
	for _, s := range w.in.Bundle.Similar {
		if s.ID == id {
			return s.Subject
		}
	}
	return ""
}

func essentialLine(text string) line { return line{spans: []span{{text: text}}, worth: essential} }

// citations prints ids as technicians know them. The ticket itself needs none: the note stands on it.
func citations(ids []string) []span {
	var spans []span
	for _, id := range ids {
		if id != evidence.TicketRef {
			spans = append(spans, span{text: " [" + field(id, 3) + "]"})
		}
	}
	return spans
}

func (w writer) storm() block {
	s := w.in.Bundle.Storm
	if s == nil || s.Count == 0 {
		return block{}
	}
	tickets := s.Tickets[:min(5, len(s.Tickets))]
	return block{lines: []line{{spans: []span{{field(w.say.say("storm", s.Count, shortDuration(s.Window), strings.Join(tickets, ", ")), 30), strong}}, worth: worthStorm}}}
}

func (w writer) footer() block {
	label := w.say.say("facts_label")
	if w.in.Answer.Mode == evidence.Full {
		model := w.in.Model
		if model == "" {
			model = w.say.say("ai_unnamed")
		}
		label = w.say.say("ai_label", field(model, 3))
	}
	var facts []string
	if !w.in.GeneratedAt.IsZero() {
		facts = append(facts, stamp(w.in.GeneratedAt))
	}
	if w.in.Elapsed > 0 {
		facts = append(facts, shortDuration(w.in.Elapsed))
	}
	facts = append(facts, "Ref "+w.in.Reference)
	return block{lines: []line{essentialLine(label), essentialLine(strings.Join(facts, " · "))}}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// shortDuration is in units that all the languages write alike.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
