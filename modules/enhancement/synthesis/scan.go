package synthesis

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The functions of this file do what a regular expression says that a test compares them with, or say whether it can match at
// all. Every sentence of the evidence and of the answer passes through them, and searching for the expressions costs far more.

const (
	joiners   = "-._:/\\@+=~#'’,&%$"
	mostJoins = 3
)

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N)
}

func joiner(r rune) bool {
	return r == '’' || r < utf8.RuneSelf && strings.IndexByte(joiners, byte(r)) >= 0
}

// scanWords finds the words of a text: runs of letters, marks, digits and underscores, with one to three of the joiners that names,
// addresses, paths and numbers have inside.
func scanWords(s string) []string {
	var list []string
	start, end, joins := -1, 0, 0 // of the word so far, and the joiners after it
	for i, r := range s {
		switch {
		case wordRune(r):
			if start < 0 {
				start = i
			}
			end, joins = i+utf8.RuneLen(r), 0
		case start >= 0 && joins < mostJoins && joiner(r):
			joins++
		case start >= 0:
			list, start = append(list, s[start:end]), -1
		}
	}
	if start >= 0 {
		list = append(list, s[start:end])
	}
	return list
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

func hexByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// addressPossible reports whether addressPattern can match: in each of its forms two separators follow each other with so many
// hexadecimal digits between as that form has.
func addressPossible(s string) bool {
	last := -1 // the separator before, with nothing but hexadecimal digits since
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':' || c == '.' || c == '-':
			if last >= 0 && separates(s[last], c, i-last-1) {
				return true
			}
			last = i
		case !hexByte(c):
			last = -1
		}
	}
	return false
}

// separates knows the separators of IPv6, of IPv4 and short MAC, and of long MAC addresses.
func separates(one, two byte, digits int) bool {
	switch {
	case one == ':' && two == ':':
		return digits <= 4
	case one == '.' || two == '.':
		return one == two && digits >= 1 && digits <= 4
	}
	return digits == 2
}

// addressLike is false for nearly all words that are no address.
func addressLike(s string) bool {
	switch {
	case strings.IndexByte(s, ':') >= 0:
		return true
	case len(s) == 17 || len(s) == 14:
		return strings.ContainsAny(s, "-.")
	}
	return startsWithDigit(s) && strings.IndexByte(s, '.') >= 0
}

// blobPossible reports whether longBlob can match.
func blobPossible(s string) bool {
	run := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/', c == '_', c == '=':
			if run++; run == 40 {
				return true
			}
		default:
			run = 0
		}
	}
	return false
}

// ordinalPossible reports whether ordinal can match: where a line begins like an item of a list, or has a word for a step.
func ordinalPossible(s, lower string) bool {
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimLeft(line, " \t\f\r")
		if startsWithDigit(line) || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "*") || strings.HasPrefix(line, "•") {
			return true
		}
	}
	for _, step := range [...]string{"step", "schritt", "étape", "paso", "stap", "ſ"} {
		if strings.Contains(lower, step) {
			return true
		}
	}
	return false
}

// domainPossible reports whether domainPattern can match: a dot before a letter or digit.
func domainPossible(s string) bool {
	for i := 1; i+1 < len(s); i++ {
		if c := s[i+1]; s[i] == '.' && (c >= utf8.RuneSelf || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return true
		}
	}
	return false
}

func asciiOnly(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// splitParts splits a word at its separators. A word without any is one part.
func splitParts(w string) []string {
	if !strings.ContainsAny(w, `/\=:,&@+#~`) {
		return []string{w}
	}
	return separators.Split(w, -1)
}
