package systems

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// versionChain joins a version to the one before it: "version 1.2.3.4 to 1.2.3.5".
	versionChain = regexp.MustCompile(`(?i)^\s*(?:to|auf|nach|bis|or|oder|through|->|=>|→)\s*$`)
	dottedQuad   = regexp.MustCompile(`(?:^|[^0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}$`)

	// versionWords stand before a number that is a version, a section or an object identifier.
	versionWords = set("v", "ver", "vers", "versionen", "build", "release", "revision", "rev", "firmware", "fw", "driver", "treiber",
		"bios", "sdk", "oid", "section", "chapter", "kapitel", "abschnitt", "clause")
	// betweenWords may stand between such a word and its number.
	betweenWords = set("is", "was", "number", "no", "nr", "to", "ist", "nummer", "auf")
)

// contextBytes is how far back the words before a number are read.
const contextBytes = 48

// versionBefore reports whether the words before a number make it a version: "Version: ", "firmware is ", "upgraded from ".
func versionBefore(text string, at int) bool {
	before := text[max(0, at-contextBytes):at]
	bare := strings.TrimRight(before, " \t\r\n\u00a0.:=#\"'(-")
	last, bare := lastWord(bare)
	previous, _ := lastWord(strings.TrimRight(bare, " \t\r\n\u00a0.:=#\"'(-"))
	if (last == "from" || last == "to") && (strings.HasPrefix(previous, "upgrad") || strings.HasPrefix(previous, "downgrad")) {
		return true
	}
	return isVersionWord(last) || betweenWords[last] && isVersionWord(previous)
}

// isVersionWord takes compounds as well, such as "FileVersion".
func isVersionWord(w string) bool {
	return versionWords[w] || strings.HasSuffix(w, "version") || strings.HasSuffix(w, "versions")
}

// lastWord cuts the word off that ends the text, in lower case.
func lastWord(text string) (last, rest string) {
	start := len(text)
	for start > 0 {
		r, size := utf8.DecodeLastRuneInString(text[:start])
		if !isWord(r) {
			break
		}
		start -= size
	}
	return strings.ToLower(text[start:]), text[:start]
}

// partOfOther reports whether a dotted number is a part of something else: a word, a file name, a folder, a longer number.
func partOfOther(text string, start, end int) bool {
	if wordBefore(text, start) || wordAfter(text, end) || dotThenWord(text[end:]) {
		return true
	}
	rest := text[end:]
	if strings.HasPrefix(rest, "+") || prerelease.MatchString(rest) {
		return true
	}
	before := text[:start]
	switch runeBefore(text, start) {
	case '.':
		return true
	case '-', '+':
		// "nginx-1.18.0.1" is a version, "10.2.3.4-10.2.3.9" a range.
		before = before[:len(before)-1]
		return wordBefore(text, len(before)) && !endsInQuad(before)
	case '\\':
		return !strings.HasSuffix(before, `\\`)
	case '/':
		// "/opt/app/1.2.3.4/bin" is a folder; "//10.2.3.4/share" and "srv01/10.2.3.4:8080" are hosts.
		return !strings.HasSuffix(before, "//") && !endsInQuad(before[:len(before)-1]) && slashThenLetter(rest)
	}
	return false
}

func endsInQuad(before string) bool {
	return dottedQuad.MatchString(before[max(0, len(before)-16):])
}

func slashThenLetter(rest string) bool {
	if !strings.HasPrefix(rest, "/") {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest[1:])
	return unicode.IsLetter(r)
}
