package synthesis

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

// The kinds of placeholder. doc.go states what each covers.
const (
	kindSecret = "SECRET"
	kindMail   = "MAIL"
	kindUser   = "USER"
	kindPhone  = "PHONE"
	kindAddr   = "ADDR"
	kindHost   = "HOST"
	kindTerm   = "TERM"
)

var placeholder = evidence.MustPattern(`(?i)\b(SECRET|MAIL|USER|PHONE|ADDR|HOST|TERM)_(\d{1,5})\b`)

// pseudonyms replaces personal data, credentials, hosts and addresses for one request, and puts them back in its answer.
// The same text gets the same placeholder throughout, whatever its case, so that the model can still relate two mentions.
type pseudonyms struct {
	rules     []rule
	byText    map[string]string
	originals map[string]string
	aliases   map[string]string // what the prompt calls an evidence id, and the id itself
	counts    map[string]int
}

// rule finds byte ranges of one kind, in order.
type rule struct {
	kind string
	find func(s, lower string) [][2]int // lower is s in lower case
}

func newPseudonyms(b evidence.Bundle, keepHosts, keepAddresses bool) *pseudonyms {
	p := &pseudonyms{byText: map[string]string{}, originals: map[string]string{}, aliases: map[string]string{}, counts: map[string]int{}}
	p.rules = []rule{{kindSecret, func(s, _ string) [][2]int { return evidence.SecretSpans(s) }}, {kindTerm, group(placeholder)}, {kindMail, group(mailPattern)}}
	if !keepHosts {
		p.rules = append(p.rules, rule{kindHost, group(uncPattern)}, rule{kindHost, findWords(knownHosts(b))}, rule{kindHost, findDomains})
	}
	if !keepAddresses {
		p.rules = append(p.rules, rule{kindAddr, findAddresses})
	}
	p.rules = append(p.rules, rule{kindUser, findUsers(b.Ticket.Requester)}, rule{kindPhone, group(phonePattern)})
	for _, s := range b.Systems {
		alias := "S-" + p.hide(strings.TrimPrefix(s.ID, "S-"))
		for p.aliases[alias] != "" {
			alias += "x"
		}
		p.aliases[alias] = s.ID
	}
	return p
}

// hide returns s with everything covered replaced. Each rule sees only what the rules before it left, so that a phone
// number next to an address cannot shield it.
func (p *pseudonyms) hide(s string) string {
	type piece struct {
		text, lower string
		hidden      bool
	}
	visible := func(text string) piece { return piece{text: text, lower: strings.ToLower(text)} }
	pieces := []piece{visible(s)}
	for _, r := range p.rules {
		next := make([]piece, 0, len(pieces))
		for _, part := range pieces {
			if part.hidden {
				next = append(next, part)
				continue
			}
			at := 0
			spans := r.find(part.text, part.lower)
			if len(spans) == 0 {
				next = append(next, part)
				continue
			}
			for _, span := range spans {
				if span[0] < at || span[0] == span[1] {
					continue
				}
				next = append(next, visible(part.text[at:span[0]]), piece{text: p.placeholder(r.kind, part.text[span[0]:span[1]]), hidden: true})
				at = span[1]
			}
			next = append(next, visible(part.text[at:]))
		}
		pieces = next
	}
	var out strings.Builder
	for _, part := range pieces {
		out.WriteString(part.text)
	}
	return out.String()
}

func (p *pseudonyms) placeholder(kind, original string) string {
	key := kind + "\x00" + strings.ToLower(original)
	if name, ok := p.byText[key]; ok {
		return name
	}
	p.counts[kind]++
	name := kind + "_" + strconv.Itoa(p.counts[kind])
	p.byText[key] = name
	p.originals[name] = original
	return name
}

// restore puts the originals back, except for secrets. A placeholder that was never given out stays as it is, and falls in
// the grounding because nothing in the evidence reads like it.
func (p *pseudonyms) restore(s string) string {
	if !strings.Contains(s, "_") { // which every placeholder has
		return s
	}
	s = aliasPattern.ReplaceAllStringFunc(s, func(alias string) string {
		if id, ok := p.aliases["S-"+strings.ToUpper(alias[2:])]; ok {
			return id
		}
		return alias
	})
	return placeholder.ReplaceAllStringFunc(s, func(name string) string {
		name = strings.ToUpper(name)
		if strings.HasPrefix(name, kindSecret) {
			return evidence.SecretMark
		}
		if original, ok := p.originals[name]; ok {
			return original
		}
		return name
	})
}

func (p *pseudonyms) restoreDraft(d draft) draft {
	claim := func(c *evidence.Claim) {
		c.Text = p.restore(c.Text)
		p.restoreIDs(c.EvidenceIDs)
	}
	claim(&d.cause)
	for i := range d.alternatives {
		claim(&d.alternatives[i])
	}
	for i := range d.evidence {
		claim(&d.evidence[i])
	}
	for i := range d.steps {
		d.steps[i].Text = p.restore(d.steps[i].Text)
		p.restoreIDs(d.steps[i].EvidenceIDs)
	}
	for i := range d.similar {
		d.similar[i].Why = p.restore(d.similar[i].Why)
	}
	return d
}

func (p *pseudonyms) restoreIDs(ids []string) {
	for i, id := range ids {
		if real, ok := p.aliases[id]; ok {
			ids[i] = real
		}
	}
}

// id returns what the prompt calls an evidence id.
func (p *pseudonyms) id(id string) string {
	for alias, real := range p.aliases {
		if real == id {
			return alias
		}
	}
	return id
}

var (
	aliasPattern = regexp.MustCompile(`(?i)\bS-(?:HOST|ADDR|MAIL|USER|TERM)_\d{1,5}\b`)
	mailPattern  = evidence.MustPattern(`[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`)
	uncPattern   = evidence.MustPattern(`\\\\([\w.-]+)`)
	phonePattern = evidence.MustPattern(`(?i)(?:\b(?:phone|tel|telefon|téléphone|teléfono|telefoon|mobile|mobil|handy|cell|durchwahl)\b\.?:?\s*|\B)` +
		`(\+\d[\d ()/.-]{6,18}\d)|\b(?:phone|tel|telefon|téléphone|teléfono|telefoon|mobile|mobil|handy|cell|durchwahl)\b\.?:?\s*(\d[\d ()/.-]{5,18}\d)`)
	userPatterns = []*evidence.Pattern{
		evidence.MustPattern(`(?i)\b(?:user(?:name)?|user[ _]?id|login(?: name)?|account name|benutzer(?:name)?|kennung|utilisateur|identifiant|usuario|gebruiker(?:snaam)?|samaccountname|uid)\s*[:=]\s*["']?([\p{L}\p{N}._\\-]{2,64})`),
		evidence.MustPattern(`\b[A-Z][A-Z0-9-]{1,14}\\([\p{L}\p{N}._-]{2,64})`),
		evidence.MustPattern(`(?i)\b[a-z]:\\users\\([\p{L}\p{N}._-]{2,64})`),
		evidence.MustPattern(`(?:/home|/Users)/([\p{L}\p{N}._-]{2,64})`),
	}
)

// group finds the first group that took part in each match, or the whole match of a pattern without groups.
func group(pattern *evidence.Pattern) func(s, lower string) [][2]int {
	return func(s, lower string) [][2]int {
		if !pattern.Possible(lower) {
			return nil
		}
		var spans [][2]int
		for _, m := range pattern.FindAllStringSubmatchIndex(s, -1) {
			span := [2]int{m[0], m[1]}
			for g := 2; pattern != placeholder && g+1 < len(m); g += 2 {
				if m[g] >= 0 {
					span = [2]int{m[g], m[g+1]}
					break
				}
			}
			spans = append(spans, span)
		}
		return spans
	}
}

func findUsers(requester string) func(s, lower string) [][2]int {
	names := []string{}
	if r := strings.TrimSpace(requester); utf8.RuneCountInString(r) >= 3 {
		names = append(names, r)
		for _, part := range strings.FieldsFunc(r, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' }) {
			if utf8.RuneCountInString(part) >= 3 {
				names = append(names, part)
			}
		}
	}
	byName := findWords(names)
	return func(s, lower string) [][2]int {
		spans := byName(s, lower)
		if strings.ContainsAny(s, `:=\/`) { // as each of the patterns does
			for _, p := range userPatterns {
				spans = append(spans, group(p)(s, lower)...)
			}
		}
		slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
		return spans
	}
}

// findWords finds whole words of a list, in any case. A hyphen or underscore continues a word, a dot does not.
func findWords(words []string) func(s, lower string) [][2]int {
	if len(words) == 0 {
		return func(string, string) [][2]int { return nil }
	}
	// RE2 takes the first alternative that matches, so longer words must come first.
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	// Compiled for this ticket alone, it is made only where a text has one of the words.
	pattern := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(?:` + strings.Join(quoted, "|") + `)`) })
	possible := wordsPossible(words)
	return func(s, lower string) [][2]int {
		if !possible(lower) {
			return nil
		}
		var spans [][2]int
		for _, m := range pattern().FindAllStringIndex(s, -1) {
			before, _ := utf8.DecodeLastRuneInString(s[:m[0]])
			after, _ := utf8.DecodeRuneInString(s[m[1]:])
			if !inWord(before) && !inWord(after) {
				spans = append(spans, [2]int{m[0], m[1]})
			}
		}
		return spans
	}
}

// wordsPossible reports whether a text in lower case can have one of the words. Other letters than ASCII's have more than two
// cases, and one of ASCII's has a third that stays as it is in lower case.
func wordsPossible(words []string) func(lower string) bool {
	lowers := []string{"ſ"}
	for _, w := range words {
		if !asciiOnly(w) {
			return func(string) bool { return true }
		}
		lowers = append(lowers, strings.ToLower(w))
	}
	return func(lower string) bool {
		return slices.ContainsFunc(lowers, func(w string) bool { return strings.Contains(lower, w) })
	}
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
}

func knownHosts(b evidence.Bundle) []string {
	var hosts []string
	add := func(name string) {
		name = strings.TrimSpace(name)
		if _, err := netip.ParseAddr(name); err == nil || len(name) < 2 {
			return
		}
		hosts = append(hosts, name)
		if short, _, qualified := strings.Cut(name, "."); qualified && len(short) >= 3 {
			hosts = append(hosts, short)
		}
	}
	for _, s := range b.Systems {
		add(s.Hostname)
		add(s.MatchedBy)
	}
	for _, m := range b.Monitoring {
		add(m.Host)
	}
	return hosts
}

var (
	domainPattern = regexp.MustCompile(`(?i)\b[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9][a-z0-9-]{0,62})+\b`)
	privateTop    = regexp.MustCompile(`(?i)\.(?:local|lan|internal|intern|intranet|corp|home|localdomain|private|priv|ad|arpa)$`)
	letterTop     = regexp.MustCompile(`(?i)\.[a-z]{2,}$`)
)

func findDomains(s, _ string) [][2]int {
	if !domainPossible(s) {
		return nil
	}
	var spans [][2]int
	for _, m := range domainPattern.FindAllStringIndex(s, -1) {
		name := s[m[0]:m[1]]
		if privateTop.MatchString(name) || (strings.Count(name, ".") >= 2 && letterTop.MatchString(name)) {
			spans = append(spans, [2]int{m[0], m[1]})
		}
	}
	return spans
}

var addressPattern = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b|` +
	`\b(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?\b|(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:%\w+)?(?:/\d{1,3})?`)

func findAddresses(s, _ string) [][2]int {
	if !addressPossible(s) {
		return nil
	}
	var spans [][2]int
	for _, m := range addressPattern.FindAllStringIndex(s, -1) {
		before, _ := utf8.DecodeLastRuneInString(s[:m[0]])
		after, _ := utf8.DecodeRuneInString(s[m[1]:])
		if a, ok := parseAddress(s[m[0]:m[1]]); ok && identifies(a) && !inWord(before) && !inWord(after) {
			spans = append(spans, [2]int{m[0], m[1]})
		}
	}
	return spans
}

// identifies tells addresses that belong to someone from those that everyone has.
func identifies(canonical string) bool {
	host, _, _ := strings.Cut(canonical, "/")
	a, err := netip.ParseAddr(host)
	return err != nil || (!a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast())
}
