package synthesis

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// abbreviations end in a full stop that ends no sentence.
var abbreviations = map[string]bool{
	"e.g": true, "i.e": true, "etc": true, "vs": true, "approx": true, "no": true, "nr": true, "ca": true, "z.b": true, "z": true, "b": true,
	"bzw": true, "ggf": true, "evtl": true, "usw": true, "d.h": true, "d": true, "h": true, "u.a": true, "inkl": true, "p.ej": true, "p": true,
	"ej": true, "bijv": true, "dr": true, "mr": true, "ms": true, "mrs": true, "st": true, "art": true, "incl": true,
}

// sentences splits a text where a sentence ends: at a line break, or at a mark that is followed by a space and does not
// end an abbreviation or a list number.
func sentences(s string) []string {
	var out []string
	start := 0
	emit := func(end int) {
		if t := strings.TrimSpace(s[start:end]); t != "" {
			out = append(out, t)
		}
		start = end
	}
	for i, r := range s {
		_, width := utf8.DecodeRuneInString(s[i:])
		end := i + width
		switch {
		case r == '\n':
			emit(end)
		case strings.ContainsRune("。！？", r):
			emit(end)
		case strings.ContainsRune(".!?", r):
			next, _ := utf8.DecodeRuneInString(s[end:])
			if unicode.IsSpace(next) && (r != '.' || !abbreviated(s[start:i])) {
				emit(end)
			}
		}
	}
	emit(len(s))
	return out
}

func abbreviated(before string) bool {
	word := before[strings.LastIndexAny(before, " \t(")+1:]
	if word == strings.TrimSpace(before) && strings.Trim(word, "0123456789") == "" {
		return true // "1." at the start numbers a list
	}
	return abbreviations[strings.ToLower(word)]
}

// clipSentences shortens a text to a number of runes, at the end of a sentence if there is one.
func clipSentences(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	cut := string([]rune(s)[:limit])
	whole := sentences(cut)
	if len(whole) > 1 {
		return strings.Join(whole[:len(whole)-1], " ")
	}
	if space := strings.LastIndexByte(cut, ' '); space > 0 {
		cut = cut[:space]
	}
	return cut + " …"
}
