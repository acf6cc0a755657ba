package synthesis

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"aiagents/modules/enhancement/evidence"
)

var (
	urlPattern   = evidence.MustPattern(`(?i)\b[a-z][a-z0-9+.-]*://[^\s<>"')\]]*|\bwww\.[^\s<>"')\]]+|\b(?:javascript|data|mailto|vbscript|file|tel):\S+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/\S*`)
	obfuscated   = evidence.MustPattern(`(?i)\bhxxps?\b|\[\s*(?:\.|dot|:)\s*\]|\(\s*dot\s*\)|\]\s*\(|!\[|//\w`)
	bracketedID  = regexp.MustCompile(`[\[(]((?:T|KB|S|M|A|D)-[^\])\s,;]+)[\])]`)
	writtenID    = regexp.MustCompile(`(?i)\b(?:T-\d[\w.-]*|KB-[\w-]+|S-[\w.-]*\d[\w.-]*|M-\d+)\b`)
	serverPath   = regexp.MustCompile(`\\\\([\w.-]+)`)
	ordinal      = regexp.MustCompile(`(?im)^\s*(?:\d{1,2}[.)]|[-*•])\s+|\b(?:step|schritt|étape|paso|stap)\s+[1-9]\b`)
	dottedName   = regexp.MustCompile(`^[\p{L}][\p{L}_-]*(?:\.[\p{L}_-]+)+$`)
	initials     = regexp.MustCompile(`^\p{L}(?:\.\p{L})+$`)
	capitals     = regexp.MustCompile(`^[A-Z_]{5,}$|^[A-Z]{2,}(?:[-_][A-Z]{2,})+$`)
	longBlob     = regexp.MustCompile(`[A-Za-z0-9+/_=]{40,}`)
	edgesOfToken = "._:/\\@+=~#'’,&%-$"
)

// fault finds the first token of a sentence that the evidence does not cover. An empty cause means that there is none.
func (g *ground) fault(sentence string) (cause, token string) {
	s := normalise(sentence)
	lower := strings.ToLower(s)
	if m := instructionIn(s, lower); m != "" {
		return "instruction", m
	}
	if urlPattern.Possible(lower) {
		for _, u := range urlPattern.FindAllString(s, -1) {
			if !g.urlAllowed(u) {
				return "url", u
			}
			s = strings.Replace(s, u, " ", 1)
		}
	}
	if obfuscated.Possible(lower) {
		if m := obfuscated.FindString(s); m != "" {
			return "url", m
		}
	}
	if blobPossible(s) {
		if m := longBlob.FindString(s); m != "" {
			return "identifier", m
		}
	}
	if cause, token = g.nameFault(s); cause != "" {
		return cause, token
	}
	if ordinalPossible(s, lower) {
		s = ordinal.ReplaceAllString(s, " ")
	}
	if addressPossible(s) {
		for _, m := range addressPattern.FindAllString(s, -1) {
			if a, ok := parseAddress(m); ok && strings.ContainsAny(m, ".:") && !g.addresses[a] && len(m) > 3 {
				return "address", m
			}
		}
	}
	for _, w := range words(s) {
		if cause = g.wordFault(strings.Trim(w, edgesOfToken)); cause != "" {
			return cause, w
		}
	}
	return "", ""
}

// nameFault finds a quoted id or a server's path that the evidence does not have.
func (g *ground) nameFault(s string) (cause, token string) {
	if strings.ContainsAny(s, "[(") {
		for _, m := range bracketedID.FindAllStringSubmatch(s, -1) {
			if g.ids[strings.ToLower(m[1])] == "" && !g.terms[strings.ToLower(m[1])] {
				return "identifier", m[1]
			}
		}
	}
	if strings.Contains(s, `\\`) {
		for _, m := range serverPath.FindAllStringSubmatch(s, -1) {
			if !g.terms[strings.ToLower(m[1])] {
				return "host", m[1]
			}
		}
	}
	return "", ""
}

// wordFault judges one token by its form; words without digits are free unless they look like a host, address or id.
func (g *ground) wordFault(w string) string {
	low := strings.ToLower(w)
	switch {
	case low == "" || g.terms[low] || tradeTerms[low] || g.ids[low] != "":
		return ""
	case strings.Contains(low, "@"):
		return "mail"
	case strings.Contains(low, "_") && placeholder.MatchString(w):
		return "identifier"
	}
	if a, ok := parseAddress(low); ok {
		if g.addresses[a] {
			return ""
		}
		return "address"
	}
	if strings.Contains(w, "-") && writtenID.MatchString(w) && writtenID.FindString(w) == w {
		return "identifier"
	}
	if hasDigits(low) {
		return g.digitFault(low)
	}
	if capitals.MatchString(w) && !acronyms[w] {
		return "host"
	}
	if strings.Contains(low, ".") && dottedName.MatchString(low) && !initials.MatchString(low) && !fileTypes[low[strings.LastIndexByte(low, '.')+1:]] && !abbreviations[low] {
		return "host"
	}
	return g.partsFault(w, "host")
}

func (g *ground) digitFault(w string) string {
	if n, ok := number(w); ok {
		if g.numbers[n] {
			return ""
		}
		return "number"
	}
	if startsWithDigit(w) {
		if m := unitNumber.FindStringSubmatch(w); m != nil && units[strings.TrimLeft(m[2], "-")] {
			if n, _ := number(m[1]); g.numbers[n] {
				return ""
			}
			return "number"
		}
	}
	if head, tail, ok := cutLast(w, '-'); ok && idSuffixes[tail] {
		return g.wordFault(head)
	}
	if head, ok := strings.CutSuffix(w, "'s"); ok {
		return g.wordFault(head)
	}
	return g.partsFault(w, "identifier")
}

// partsFault accepts a token that is joined from covered parts, such as "EventID:41" or "T-1/T-2". Two numbers are not
// joined: "7:40" from a 7 and a 40 would be a new statement.
func (g *ground) partsFault(w, cause string) string {
	parts := splitParts(w)
	if len(parts) < 2 {
		if hasDigits(w) {
			return cause
		}
		return ""
	}
	numeric := 0
	for _, part := range parts {
		if plainNumber.MatchString(part) {
			numeric++
		}
		if c := g.wordFault(part); c != "" {
			return c
		}
	}
	if numeric > 1 {
		return "number"
	}
	return ""
}

func cutLast(s string, sep byte) (head, tail string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// urlAllowed wants the host to be allowed and the URL to stand in the evidence word for word: an allowed host must not
// become a way out for data in a query string.
func (g *ground) urlAllowed(raw string) bool {
	raw = strings.TrimRight(raw, ".,;:!?")
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return false
	}
	return slices.Contains(g.allowedHosts, strings.ToLower(u.Hostname())) && strings.Contains(g.corpus, strings.ToLower(raw))
}
