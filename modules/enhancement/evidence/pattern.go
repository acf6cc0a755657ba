package evidence

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Pattern is a regular expression that first looks for what each of its matches has to contain. Most sentences contain nothing
// of the kind, and a search for a few words costs a fraction of a long alternation.
type Pattern struct {
	*regexp.Regexp

	hints []string // in lower case; a match contains one of them. None: nothing is known
}

// MustPattern compiles an expression, like regexp.MustCompile.
func MustPattern(expr string) *Pattern {
	p := &Pattern{Regexp: regexp.MustCompile(expr)}
	if tree, err := syntax.Parse(expr, syntax.Perl); err == nil {
		p.hints = hintsOf(tree)
	}
	return p
}

// longS is the one letter that a case-insensitive match equates with an ASCII letter and that ToLower leaves as it is.
const longS = "ſ"

// Possible reports whether text may have a match. lower is the text in lower case.
func (p *Pattern) Possible(lower string) bool {
	return len(p.hints) == 0 || strings.Contains(lower, longS) ||
		slices.ContainsFunc(p.hints, func(hint string) bool { return strings.Contains(lower, hint) })
}

// Matches reports whether text has a match. lower is the text in lower case.
func (p *Pattern) Matches(text, lower string) bool { return p.Possible(lower) && p.MatchString(text) }

// hintsOf returns texts of which every match contains at least one, or none where that cannot be told.
func hintsOf(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return hintsOf(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return hintsOf(re.Sub[0])
		}
	case syntax.OpConcat: // every part is in a match: the one that is rarest serves best
		var best []string
		for _, sub := range re.Sub {
			if hints := hintsOf(sub); rarity(hints) > rarity(best) {
				best = hints
			}
		}
		return best
	case syntax.OpAlternate: // one of the parts is in a match: all of them have to be known
		var all []string
		for _, sub := range re.Sub {
			hints := hintsOf(sub)
			if len(hints) == 0 {
				return nil
			}
			all = append(all, hints...)
		}
		return all
	}
	return nil
}

// rarity guesses how seldom a text contains any of the hints, by the shortest. Marks are rarer than letters.
func rarity(hints []string) int {
	least := 0
	for i, hint := range hints {
		n := 2 * len(hint)
		if strings.ContainsFunc(hint, func(r rune) bool { return !unicode.IsLetter(r) && r != ' ' && r != '.' }) {
			n += 9
		}
		if i == 0 || n < least {
			least = n
		}
	}
	return least
}
