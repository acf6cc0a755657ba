package synthesis

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

var dashes = strings.NewReplacer("‐", "-", "‑", "-", "‒", "-", "−", "-", "’", "'")

// normalise makes the spellings equal that look equal: compatibility forms, dashes. Letters of other scripts that look
// like Latin ones stay different, and so fall in the grounding.
func normalise(s string) string {
	if asciiOnly(s) {
		return s
	}
	return dashes.Replace(norm.NFKC.String(s))
}

func words(s string) []string { return scanWords(normalise(s)) }

var (
	plainNumber = regexp.MustCompile(`^\d+(?:[.,']\d+)*$`)
	unitNumber  = regexp.MustCompile(`^(\d+(?:[.,]\d+)*)([^\d]+)$`)
	thousands   = regexp.MustCompile(`^\d{1,3}(?:[.,']\d{3})+$`)
	dateOrTime  = regexp.MustCompile(`^\d{1,4}(?:[-./:]\d{1,2}){1,2}(?:T\d{2}:\d{2}.*)?$`)
	hexCode     = regexp.MustCompile(`^0x[0-9a-f]+$`)
	separators  = regexp.MustCompile(`[/\\=:,&@+#~]+`)
)

// number returns the one spelling of a number, so that "1,024" equals "1024" and "03" equals "3".
func number(s string) (string, bool) {
	if !startsWithDigit(s) || !plainNumber.MatchString(s) {
		return "", false
	}
	if thousands.MatchString(s) {
		s = strings.NewReplacer(",", "", ".", "", "'", "").Replace(s)
	}
	s = strings.TrimLeft(strings.ReplaceAll(s, ",", "."), "0")
	if s == "" || s[0] == '.' {
		s = "0" + s
	}
	if strings.Count(s, ".") == 1 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s, true
}

func hasDigits(s string) bool { return strings.ContainsFunc(s, unicode.IsNumber) }
