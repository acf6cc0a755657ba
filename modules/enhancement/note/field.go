package note

import (
	"strings"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

const (
	linkMark    = "[link]"
	longestRun  = 60  // runes without a space; longer ones are cut, or one "word" could fill the note
	longestText = 600 // runes of one field, for languages that write without spaces
)

var (
	linkPattern = evidence.MustPattern(`(?i)\b[a-z][a-z0-9+.-]*://\S*|\bhxxps?:\S*|\bwww\.\S+|\b(?:javascript|vbscript|mailto)\s*:\s*\S+|\bdata:\w+/\S+|\bfile:/\S*|\btel:\+?\d\S*|` +
		`\b(?:[a-z0-9-]+\.)+[a-z]{2,}/\S*|(?:^|\s)//[\w.-]+\S*`)
	linkSyntax = strings.NewReplacer("](", "] (", "![", "[", "]:", "] :")
)

// field makes an untrusted text fit to print: one line of visible characters without links, credentials, or references of
// ours, cut to a number of words.
func field(s string, words int) string {
	s = ahead(s, words)
	s, _ = evidence.PlainText(s)
	s, _ = evidence.MaskSecrets(s)
	lower := strings.ToLower(s)
	if linkPattern.Possible(lower) && linkPossible(s) {
		s = linkPattern.ReplaceAllString(s, " "+linkMark+" ")
	}
	s = linkSyntax.Replace(s)
	if strings.Contains(lower, "aia-") {
		s = referencePattern.ReplaceAllString(s, referencePrefix+"…")
	}
	return clip(s, words)
}

// linkPossible reports whether linkPattern can match: each of its forms has a colon, a dot or two slashes.
func linkPossible(s string) bool { return strings.ContainsAny(s, ".:") || strings.Contains(s, "//") }

// ahead cuts a text, between words, to generously more than will be kept of it: what follows would only cost time.
func ahead(s string, words int) string {
	limit := 1000 + 60*words
	if len(s) <= limit {
		return s
	}
	if space := strings.LastIndexAny(s[:limit], " \n\t"); space > 0 {
		return s[:space]
	}
	return s[:limit]
}

// clip joins the lines of a text and cuts it to a number of words, with a mark where something is missing.
func clip(s string, words int) string {
	list := strings.Fields(s)
	cut := len(list) > words
	list = list[:min(words, len(list))]
	for i, w := range list {
		if utf8.RuneCountInString(w) > longestRun {
			list[i] = string([]rune(w)[:longestRun]) + "…"
		}
	}
	s = strings.Join(list, " ")
	if runes := []rune(s); len(runes) > longestText {
		s, cut = string(runes[:longestText]), true
	}
	if cut {
		s = strings.TrimRight(s, " ,;:–-") + " …"
	}
	return s
}
