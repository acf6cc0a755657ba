package synthesis

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

// ground holds everything of the evidence that an answer may name.
type ground struct {
	ids          map[string]string // by their lower-case spelling
	similar      map[string]bool
	terms        map[string]bool
	numbers      map[string]bool
	addresses    map[string]bool
	corpus       string
	allowedHosts []string
	drops        []Drop
}

func newGround(b evidence.Bundle, allowedHosts []string) *ground {
	g := &ground{
		ids: map[string]string{}, similar: map[string]bool{}, terms: map[string]bool{}, numbers: map[string]bool{},
		addresses: map[string]bool{}, allowedHosts: allowedHosts,
	}
	for _, id := range b.IDs() {
		g.ids[strings.ToLower(id)] = id
	}
	t := b.Ticket
	texts := append(b.IDs(), t.ID, t.Subject, t.Description, t.Priority, t.Category, t.Requester)
	texts = append(texts, dates(t.CreatedAt)...)
	for _, s := range b.Similar {
		g.similar[s.ID] = true
		texts = append(texts, s.TicketID, s.Subject, s.Excerpt, s.Resolution, similarity(s.Score))
		texts = append(texts, dates(s.ResolvedAt)...)
	}
	for _, a := range b.Articles {
		texts = append(texts, a.Title, a.Section, a.Excerpt)
	}
	for _, s := range b.Systems {
		texts = append(texts, s.Hostname, s.IP, s.Role, s.Location, s.MatchedBy)
		for k, v := range s.Metadata {
			texts = append(texts, k, v)
		}
	}
	for _, m := range b.Monitoring {
		texts = append(texts, m.Provider, m.Host, m.Summary, m.Severity)
		texts = append(texts, dates(m.Since)...)
	}
	if b.Storm != nil {
		texts = append(texts, b.Storm.Tickets...)
		texts = append(texts, strconv.Itoa(b.Storm.Count))
	}
	for i, text := range texts {
		// A secret of the evidence is not licensed: a model that learned it some other way may not repeat it.
		texts[i], _ = evidence.MaskSecrets(text)
		g.learn(texts[i])
	}
	g.corpus = strings.ToLower(strings.Join(texts, "\n"))
	return g
}

// dates are the ways in which a day and a minute are commonly written in numbers.
func dates(t time.Time) []string {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return []string{t.Format("2006-01-02 15:04"), t.Format("02.01.2006"), t.Format("2.1.2006"), t.Format("02/01/2006"), t.Format("01/02/2006")}
}

var digitRun = regexp.MustCompile(`\d+`)

// learn licenses the tokens of a text: whole, and in the parts that a colleague would name alone. Parts between hyphens and
// dots are not licensed, or "fs-01" would license "01".
func (g *ground) learn(text string) {
	for _, w := range words(text) {
		w = strings.ToLower(w)
		if g.terms[w] {
			continue
		}
		if a, ok := parseAddress(w); ok {
			g.addresses[a] = true
			host, _, _ := strings.Cut(a, "/")
			g.terms[w] = true
			if strings.Contains(a, "/") {
				g.addresses[host] = true
			}
			continue
		}
		g.learnPart(w)
		if parts := splitParts(w); len(parts) > 1 {
			for _, part := range parts {
				g.learnPart(part)
			}
		}
		if startsWithDigit(w) && dateOrTime.MatchString(w) {
			for _, n := range digitRun.FindAllString(w, -1) {
				g.learnPart(n)
			}
		}
		for part := range strings.SplitSeq(w, "-") {
			if strings.HasPrefix(part, "0x") && hexCode.MatchString(part) {
				g.terms[part] = true
			}
		}
	}
	if !addressPossible(text) {
		return
	}
	for _, a := range addressPattern.FindAllString(text, -1) {
		if canonical, ok := parseAddress(a); ok {
			g.addresses[canonical] = true
		}
	}
}

func (g *ground) learnPart(part string) {
	if a, ok := parseAddress(part); ok {
		g.addresses[a] = true
	}
	g.terms[part] = true
	if startsWithDigit(part) {
		if n, ok := number(part); ok {
			g.numbers[n] = true
		} else if m := unitNumber.FindStringSubmatch(part); m != nil && units[m[2]] {
			n, _ := number(m[1])
			g.numbers[n] = true
		}
	}
	// The short name of a qualified one.
	if label, _, qualified := strings.Cut(part, "."); qualified && startsWithLetter(label) {
		g.terms[label] = true
	}
}

func startsWithLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}
