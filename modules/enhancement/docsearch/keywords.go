package docsearch

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

const (
	maxKeywords = 8
	// maxRead is how much of a description is looked at, in bytes: what a ticket is about stands in front.
	maxRead = 4000
)

var (
	// private is what must not leave the house and helps no search: addresses of people and of pages.
	private = regexp.MustCompile(`\S+@\S+|\b\w+://\S+`)
	// greeting is a salutation with the names that follow it; what comes after its comma stays.
	greeting = regexp.MustCompile(`(?i)^\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|day)|hallo|guten (?:tag|morgen)|liebe[rs]?|sehr geehrte[rs]?|bonjour|salut|ch[eè]re?|hola|buenos|estimad[oa]|beste|ciao|buongiorno|gentile)` +
		`(?:(?: +[\pL.'-]+){0,4} *[,!:]+|(?: +[\pL.'-]+){0,2}\s*$)`)
	// closing begins the signature.
	closing = regexp.MustCompile(`(?i)^\s*(--\s*$|(kind |best |warm |many )?(regards|wishes)\b|thanks\b|thank you\b|cheers\b|sincerely\b|sent from\b|mit (freundlichen|besten)|viele grüße|freundliche grüße|mfg\b|danke\b|cordialement|merci\b|saludos|gracias\b|met vriendelijke|cordiali saluti|grazie\b)`)
	// numbered finds numbers that mean something: "error 1603", "Event ID 4625".
	numbered = regexp.MustCompile(`(?i)\b(?:error|event|code|id|fehler|ereignis|erreur|código|stop|status|fout)(?:[ :#=]+(?:id|code|nr\.?|no\.?))?[ :#=]+(\d{3,6})\b`)
)

const (
	// strong is the rating from which a word stands for itself; weaker ones are taken where there is little else.
	strong    = 3.0
	fewWords  = 4
	inSubject = 1.0
)

// keyword is a candidate: its rating, what the subject adds to that, and its place.
type keyword struct {
	text   string
	rating float64
	bonus  float64
	at     int
}

// candidates are keywords by their lower case; a word that comes again keeps its first spelling and its best rating.
type candidates map[string]keyword

func (c candidates) offer(text string, rating, bonus float64) {
	key := strings.ToLower(text)
	k, known := c[key]
	if !known {
		k = keyword{text: text, at: len(c), bonus: bonus}
	}
	k.rating = max(k.rating, rating)
	c[key] = k
}

// read offers the words of a text, line by line.
func (c candidates) read(text string, bonus float64) {
	for _, m := range numbered.FindAllStringSubmatch(text, -1) {
		c.offer(m[1], 5, bonus)
	}
	for line := range strings.Lines(text) {
		begins := true
		for word := range strings.FieldsSeq(line) {
			for token := range strings.FieldsFuncSeq(word, separates) {
				if token = strings.Trim(token, "._-"); token != "" {
					if rating := telling(token, begins); rating > 0 {
						c.offer(token, rating, bonus)
					}
					begins = false
				}
			}
			begins = begins || strings.ContainsAny(word[len(word)-1:], ".!?:")
		}
	}
}

// Keywords picks the words by which a ticket may be found in documentation, the most telling first, eight at most:
// identifiers, then names of products, then long words; those of the subject before those of the description. It never gives
// addresses of people or pages, what looks like a secret, the requester's name, or what stands in a greeting or signature.
func Keywords(t evidence.Ticket) []string {
	c := candidates{}
	c.read(readable(t.Subject), inSubject)
	c.read(readable(cut(t.Description, maxRead)), 0)
	for name := range strings.FieldsSeq(strings.ToLower(t.Requester)) {
		delete(c, strings.Trim(name, ",.;"))
	}
	all := slices.SortedFunc(maps.Values(c), func(a, b keyword) int {
		return cmp.Or(cmp.Compare(b.rating+b.bonus, a.rating+a.bonus), cmp.Compare(a.at, b.at))
	})
	words := make([]string, 0, maxKeywords)
	for _, k := range all {
		if len(words) < maxKeywords && (k.rating >= strong || len(words) < fewWords) {
			words = append(words, k.text)
		}
	}
	return words
}

// readable is a text without markup, private parts, greeting and signature.
func readable(text string) string {
	text, _ = evidence.MaskSecrets(plain(text))
	text = strings.ReplaceAll(text, evidence.SecretMark, " ")
	var out strings.Builder
	for line := range strings.Lines(text) {
		if closing.MatchString(line) && out.Len() > 0 {
			break
		}
		out.WriteString(private.ReplaceAllString(greeting.ReplaceAllString(line, " "), " ") + "\n")
	}
	return out.String()
}

// separates tells characters that no keyword has. What is left means nothing to any query language.
func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' && r != '_'
}

// telling rates a token; 0 is worthless. The first word of a sentence is written large for no reason of its own.
func telling(token string, begins bool) float64 {
	runes := utf8.RuneCountInString(token)
	var letters, digits, upper, innerUpper, dots int
	for i, r := range token {
		switch {
		case unicode.IsLetter(r):
			letters++
			if unicode.IsUpper(r) {
				upper++
				if i > 0 {
					innerUpper++
				}
			}
		case unicode.IsDigit(r):
			digits++
		case r == '.':
			dots++
		}
	}
	switch {
	case letters == 0, runes < 2, runes > 64, stopWords[strings.ToLower(token)]:
		return 0
	case digits > 0:
		return 6
	case runes < 3:
		return 0
	case dots > 0, upper == letters && letters <= 6, innerUpper > 0 && upper < letters:
		return 4
	case upper > 0 && !begins:
		return strong
	case runes < 4:
		return 0
	case upper > 0:
		return 1.5 + float64(min(runes, 12))/12
	}
	return 1 + float64(min(runes, 12))/12
}

// stopWords are words of tickets that say nothing about their cause, in the languages of the product.
var stopWords = wordSet(`the and for are but not you all any can had her was one our out get has him his how man new now old see two way
	who did its let put say she too use with that this have from they been were when what your will would there their about
	could should after before again still since only just also into over than then them these those some very much more most
	please help issue problem problems ticket request user users need needs want wants cannot can't unable does doesn't don't
	didn't isn't trying tried since today yesterday morning work works working worked error errors failed fails failing
	message getting shows event code version number call called showing every time times thing things something anyone someone everyone same other another where
	which while because being back down here there's i'm we're it's asap urgent fwd re fw regards thanks hello dear team
	monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september
	october november december
	der die das und ist nicht ich wir sie ein eine einen einem einer mit von für auf bei den dem des aber auch noch wenn wie was
	kann können kein keine keinen nach seit mehr sehr bitte hilfe problem fehler meldung benutzer funktioniert geht immer
	wieder heute gestern haben habe hat wird werden wurde sind war dass oder über unter zum zur mein meine unser unsere
	les des une est pas pour dans avec sur nous vous mais qui que ont fait plus bonjour merci erreur problème impossible depuis
	los las una que por con para del está pero como más muy ayuda error gracias favor desde cuando puede
	het een van niet met voor maar ook naar nog wel geen fout melding werkt gebruiker graag
	che non per con una del della sono come più anche errore grazie quando`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}
