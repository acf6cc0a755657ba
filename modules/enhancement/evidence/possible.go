package evidence

import "strings"

// The functions of this file say whether a text can have a match of an expression that costs far more to search for. They may
// say yes too often, never no where there is one: what these expressions guard against would pass.

// hasRun reports whether s has n bytes in a row that are in the class.
func hasRun(s string, n int, class *[256]bool) bool {
	run := 0
	for i := range len(s) {
		if !class[s[i]] {
			run = 0
			continue
		}
		if run++; run >= n {
			return true
		}
	}
	return false
}

func byteClass(chars string) *[256]bool {
	var class [256]bool
	for i := range len(chars) {
		class[chars[i]] = true
	}
	return &class
}

const asciiAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

var (
	base64Class = byteClass(asciiAlnum + "+/_-")
	hexClass    = byteClass("0123456789abcdefABCDEF :")
)

// longestDigits is the most digits in a row, where one space or hyphen may stand between two of them.
func longestDigits(s string) int {
	most, run, joined := 0, 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			run, joined = run+1, false
			most = max(most, run)
		case (c == ' ' || c == '-') && run > 0 && !joined:
			joined = true
		default:
			run, joined = 0, false
		}
	}
	return most
}

// ibanPossible looks for two capitals and two digits with a capital, a digit or a space after them.
func ibanPossible(s string) bool {
	capital := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := 0; i+15 < len(s); i++ {
		if capital(s[i]) && capital(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) && (s[i+4] == ' ' || capital(s[i+4]) || digit(s[i+4])) {
			return true
		}
	}
	return false
}

func containsAny(s string, hints []string) bool {
	for _, hint := range hints {
		if strings.Contains(s, hint) {
			return true
		}
	}
	return false
}
