package evidence

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// SecretMark stands in a note where a secret stood. It needs no translation.
const SecretMark = "•••"

// MaskSecrets replaces what looks like a credential by SecretMark and says how many there were.
func MaskSecrets(s string) (string, int) {
	spans := SecretSpans(s)
	if len(spans) == 0 {
		return s, 0
	}
	var out strings.Builder
	at := 0
	for _, span := range spans {
		out.WriteString(s[at:span[0]])
		out.WriteString(SecretMark)
		at = span[1]
	}
	out.WriteString(s[at:])
	return out.String(), len(spans)
}

const secretLabel = `(?:pass(?:word|wort|wd|phrase|code)?|pwd|pw|kennwort|mot de passe|mdp|contraseña|clave|wachtwoord|pin|` +
	`secret|geheimnis|token|otp|api[ _-]?key|access[ _-]?key|client[ _-]?secret|shared[ _-]?secret|psk|community(?: string)?|recovery key)`

// labelHints are parts of the labels in lower case: a text with none of them needs no search for labels.
var labelHints = []string{
	"pass", "pwd", "pw", "kennwort", "mdp", "contrase", "clave", "wachtwoord", "pin", "secret", "geheimnis", "token", "otp",
	"key", "psk", "community", longS,
}

// keyHints are how the keys of well-known formats begin, in lower case.
var keyHints = []string{
	"sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
	"xox", "aiza", "hvs.", "hvb.", "whsec_", "dop_v1_",
}

// assigns are the marks of which one stands between a label and its value.
var assigns = []string{":", "=", "->", "→"}

// A pattern's last group is the secret; accept, where given, decides on the value. Of hints and of marks, where given, one must
// be in the text, at least so many digits in a row, and the text must be possible.
var secretPatterns = []struct {
	pattern  *regexp.Regexp
	accept   func(string) bool
	possible func(string) bool
	hints    []string
	marks    []string
	digits   int
}{
	{pattern: regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z))`), hints: []string{"private key"}},
	{pattern: regexp.MustCompile(`\b(eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)`), hints: []string{"eyj"}},
	{pattern: regexp.MustCompile(`\b((?:sk|pk|rk)[-_][\w-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|` +
		`xox[abeoprs]-[\w-]{10,}|AIza[\w-]{30,}|hv[sb]\.[\w-]{20,}|whsec_[\w+/=-]{16,}|dop_v1_\w{20,})`), hints: keyHints},
	{pattern: regexp.MustCompile(`(?i)\bauthorization\s*:\s*\w+\s+([\w.~+/=-]{6,})`), hints: []string{"authorization"}},
	{pattern: regexp.MustCompile(`(?i)\bbearer\s+([\w.~+/=-]{12,})`), accept: hasDigit, hints: []string{"bearer"}},
	{pattern: regexp.MustCompile(`://[^\s/:@]+:([^\s/@]+)@`), accept: unmasked, hints: []string{"://"}},
	{pattern: regexp.MustCompile(`\b(\d{6}(?:-\d{6}){7})\b`), digits: 48},
	{pattern: regexp.MustCompile(`\b((?:\d[ -]?){12,18}\d)\b`), accept: luhn, digits: 13},
	{pattern: regexp.MustCompile(`\b([A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?)\b`), accept: iban, possible: ibanPossible},
	{pattern: regexp.MustCompile(`(?i)(?:\b|_)` + secretLabel + `s?\b["']?(?:\s*\([^)\n]{0,40}\))?\s*(?::=|[:=]>?|->|→)\s*["'“„«]([^"'”“»\n]{1,200})["'”“»]`), accept: unmasked, hints: labelHints, marks: assigns},
	{pattern: regexp.MustCompile(`(?i)(?:\b|_)` + secretLabel + `s?\b["']?(?:\s*\([^)\n]{0,40}\))?\s*(?::=|[:=]>?|->|→)\s*([^\s"'“”„«»,;<]{3,})`), accept: unmasked, hints: labelHints, marks: assigns},
	{pattern: regexp.MustCompile(`(?i)\b` + secretLabel + `\s+(?:is|was|ist|war|lautet|est|es|to|auf|naar|à|now|nun|jetzt|wurde|set to|is now|ist jetzt)\s+` +
		`["'“„«]?([^\s"'“”„«»,;<]{4,})`), accept: looksChosen, hints: labelHints},
}

// SecretSpans finds everything in s that looks like a credential or a payment number, as byte ranges in order and without
// overlap. Recognised are: values after a label such as "password:" (English, German, French, Spanish, Dutch), private keys,
// web tokens, keys of well-known formats, authorization headers, passwords in URLs, BitLocker recovery keys, card numbers
// and IBANs with a valid checksum. A password in free prose without a label is not recognised.
func SecretSpans(s string) [][2]int {
	var spans [][2]int
	low := strings.ToLower(s)
	digits := longestDigits(s)
	for _, p := range secretPatterns {
		switch {
		case digits < p.digits, p.possible != nil && !p.possible(s),
			p.marks != nil && !containsAny(s, p.marks), p.hints != nil && !containsAny(low, p.hints):
			continue
		}
		for _, m := range p.pattern.FindAllStringSubmatchIndex(s, -1) {
			from, to := m[len(m)-2], m[len(m)-1]
			value := strings.TrimRight(s[from:to], ".)]")
			if value == "" || (p.accept != nil && !p.accept(value)) {
				continue
			}
			spans = append(spans, [2]int{from, from + len(value)})
		}
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	merged := spans[:0]
	for _, span := range spans {
		if n := len(merged); n > 0 && span[0] < merged[n-1][1] {
			merged[n-1][1] = max(merged[n-1][1], span[1])
			continue
		}
		merged = append(merged, span)
	}
	return merged
}

func unmasked(v string) bool { return !strings.HasPrefix(v, SecretMark) }

func hasDigit(v string) bool { return strings.ContainsFunc(v, unicode.IsDigit) }

// looksChosen tells "the password is Winter26" from "the password is wrong".
func looksChosen(v string) bool {
	return unmasked(v) && strings.ContainsFunc(v, func(r rune) bool {
		return unicode.IsDigit(r) || strings.ContainsRune("!@#$%^&*?_+=~|", r)
	})
}

func luhn(v string) bool {
	sum, double, count := 0, false, 0
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] < '0' || v[i] > '9' {
			continue
		}
		d := int(v[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double, count = sum+d, !double, count+1
	}
	return count >= 13 && sum%10 == 0
}

// iban checks the checksum of ISO 13616: letters become 10 to 35, the first four characters go last, modulo 97 is 1.
func iban(v string) bool {
	v = strings.ReplaceAll(v, " ", "")
	if len(v) < 15 || len(v) > 34 {
		return false
	}
	var digits strings.Builder
	for _, r := range v[4:] + v[:4] {
		if r >= 'A' {
			digits.WriteByte(byte('0' + (r-'A'+10)/10))
			digits.WriteByte(byte('0' + (r-'A'+10)%10))
			continue
		}
		digits.WriteRune(r)
	}
	n, ok := new(big.Int).SetString(digits.String(), 10)
	return ok && new(big.Int).Mod(n, big.NewInt(97)).Int64() == 1
}
