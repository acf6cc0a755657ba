package retrieval

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of the analysis. They bound the index row of one document and the work of one query, whatever a ticket holds.
const (
	maxFieldBytes  = 64 << 10 // of one field that is looked at
	maxFieldTerms  = 2000     // of one field that are kept
	maxTokenRunes  = 48       // longer runs are hashes, keys and base64, not words
	maxStackFrames = 6        // of one stack trace: the deepest frames say the most, the rest is the framework
)

// token is one term of a text before stemming.
type token struct {
	text string
	// word is set for plain words, which are stemmed and may be stop words; identifiers are kept as they are.
	word bool
}

// tokenise splits a text into words and identifiers, lower-cased and without accents.
//
// Identifiers (error codes, addresses, versions, host names, camel case, dotted names) come whole and in parts, so that
// "FS-01" finds "FS-01" first and "FS01 share" still. Paths and URLs come as their segments. Dates and clock times are
// dropped: they say when, not what.
func tokenise(text string) []token {
	if len(text) > maxFieldBytes {
		text = strings.ToValidUTF8(text[:maxFieldBytes], "")
	}
	var out []token
	frames := 0
	for line := range strings.Lines(text) {
		if isStackFrame(line) {
			if frames++; frames > maxStackFrames {
				continue
			}
		} else {
			frames = 0
		}
		for _, chunk := range strings.FieldsFunc(line, isSeparator) {
			out = appendChunk(out, chunk)
		}
		if len(out) >= maxFieldTerms {
			return out[:maxFieldTerms]
		}
	}
	return out
}

// isStackFrame recognises a line of a Java, .NET, JavaScript or Python stack trace.
func isStackFrame(line string) bool {
	s := strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(s, "at "); ok {
		return strings.ContainsAny(rest, "(:") && strings.ContainsAny(rest, ".")
	}
	return strings.HasPrefix(s, `File "`) && strings.Contains(s, ", line ")
}

// isSeparator ends a chunk. What is not listed here (. - _ : @ ' + #) can be inside an identifier.
func isSeparator(r rune) bool {
	switch r {
	case '.', '-', '_', ':', '@', '\'', '’', '+', '#', '%':
		return false
	}
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

func appendChunk(out []token, chunk string) []token {
	chunk = strings.Trim(chunk, ".-_:@'’+#%")
	if chunk == "" || isDateOrTime(chunk) {
		return out
	}
	if at := strings.IndexByte(chunk, '@'); at >= 0 {
		out = appendChunk(out, chunk[:at])
		return appendChunk(out, chunk[at+1:])
	}
	parts := split(chunk)
	if len(parts) == 1 && parts[0] == chunk {
		return appendSimple(out, chunk)
	}
	whole := fold(chunk)
	if keepWhole(chunk, whole) {
		out = append(out, token{text: whole})
	}
	for _, part := range parts {
		out = appendSimple(out, part)
	}
	return out
}

// appendSimple adds a run of letters and digits.
func appendSimple(out []token, s string) []token {
	text := fold(s)
	n := utf8.RuneCountInString(text)
	switch {
	case n == 0 || n > maxTokenRunes:
		return out
	case hasIdeographs(text):
		return appendBigrams(out, []rune(text))
	case !strings.ContainsFunc(text, unicode.IsDigit):
		if n == 1 {
			return out
		}
		return append(out, token{text: text, word: true})
	case n == 1:
		return out
	}
	return append(out, token{text: text})
}

// keepWhole says whether a compound is worth a term of its own. "re-open" is not: its words carry it.
func keepWhole(chunk, whole string) bool {
	if utf8.RuneCountInString(whole) > maxTokenRunes {
		return false
	}
	if strings.ContainsFunc(chunk, unicode.IsDigit) {
		return true
	}
	return strings.ContainsAny(chunk, "._:#+") || isCamel(chunk)
}

// isCamel reports an upper-case letter after a lower-case one.
func isCamel(s string) bool {
	lower := false
	for _, r := range s {
		if lower && unicode.IsUpper(r) {
			return true
		}
		lower = unicode.IsLower(r)
	}
	return false
}

// split cuts a compound at its connectors and at camel-case humps. Runs of letters and digits stay together, so that
// "x86", "kb5034441" and "0x80070035" remain one part.
func split(chunk string) []string {
	var parts []string
	start := 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, chunk[start:end])
		}
	}
	var prev rune
	for i, r := range chunk {
		switch {
		case r == '\'' || r == '’':
			// "l'imprimante" and "qu'elle" go on after the apostrophe; of "don't" and "server's" nothing that follows is a term.
			elided := strings.ToLower(chunk[start:i])
			flush(i)
			if utf8.RuneCountInString(elided) > 2 && !strings.HasSuffix(elided, "qu") {
				return parts
			}
			start = i + utf8.RuneLen(r)
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r):
			flush(i)
			start = i + utf8.RuneLen(r)
		case unicode.IsLower(prev) && unicode.IsUpper(r):
			flush(i)
			start = i
		case unicode.IsUpper(prev) && unicode.IsUpper(r) && startsLower(chunk[i+utf8.RuneLen(r):]):
			// The last capital of a run begins the next word: "DFSClient" is DFS and Client.
			flush(i)
			start = i
		}
		prev = r
	}
	flush(len(chunk))
	return parts
}

func startsLower(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	if !unicode.IsLower(r) {
		return false
	}
	// A plural such as "URLs" or "VMs" is one word.
	next, _ := utf8.DecodeRuneInString(s[size:])
	return unicode.IsLower(next)
}

// isDateOrTime recognises 2016-03-01, 12:33:01, 01.03.2016 and their like: digits in two or more groups of a plausible
// size, so that addresses and versions stay.
func isDateOrTime(s string) bool {
	var groups [3]int
	n, sep := 0, rune(0)
	for _, r := range strings.TrimRight(s, "TZ") {
		switch {
		case r >= '0' && r <= '9':
			if n >= len(groups) {
				return false
			}
			groups[n]++
		case r == '-' || r == ':':
			if sep != 0 && r != sep {
				return false
			}
			sep = r
			n++
		default:
			return false
		}
	}
	switch {
	case sep == ':' && n == 1, sep == ':' && n == 2:
		return groups[0] <= 2 && groups[1] == 2 && (n == 1 || groups[2] == 2)
	case sep == '-' && n == 2:
		return groups[0] == 4 && groups[1] == 2 && groups[2] == 2
	}
	return false
}

// fold lower-cases and strips accents: "Übertragung" and "ubertragung" meet, as do full-width digits and plain ones.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		switch r = unicode.ToLower(r); {
		case unicode.Is(unicode.Mn, r):
		case r == 'ß':
			b.WriteString("ss")
		case r == 'ø':
			b.WriteByte('o')
		case r == 'ł':
			b.WriteByte('l')
		default:
			b.WriteRune(r)
		}
	}
	// Hangul comes apart under NFKD and is put together again.
	return norm.NFC.String(b.String())
}

func hasIdeographs(s string) bool {
	for _, r := range s {
		if r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			return true
		}
	}
	return false
}

// appendBigrams covers scripts without spaces between words.
func appendBigrams(out []token, runes []rune) []token {
	if len(runes) == 1 {
		return append(out, token{text: string(runes)})
	}
	for i := 0; i+1 < len(runes); i++ {
		out = append(out, token{text: string(runes[i : i+2])})
	}
	return out
}
