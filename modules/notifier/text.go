package notifier

import (
	"crypto/sha256"
	"strings"
	"unicode"

	"golang.org/x/net/html"
)

// textOf turns the HTML of a desk into plain text with lines. Scripts, styles and comments are dropped. Plain text passes
// through unchanged but for its spaces.
func textOf(markup string) string {
	var out strings.Builder
	skip := ""
	z := html.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tidy(out.String())
		case html.TextToken:
			if skip == "" {
				out.Write(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			tag := string(name)
			if silent[tag] && skip == "" {
				skip = tag
			}
			if tag == "li" {
				out.WriteString("\n- ")
			} else if block[tag] {
				out.WriteByte('\n')
			} else if tag == "td" || tag == "th" {
				out.WriteByte(' ')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if string(name) == skip {
				skip = ""
			}
			if block[string(name)] {
				out.WriteByte('\n')
			}
		}
	}
}

var (
	silent = map[string]bool{"script": true, "style": true, "title": true, "template": true, "noscript": true}
	block  = map[string]bool{
		"p": true, "div": true, "br": true, "ul": true, "ol": true, "tr": true, "table": true, "pre": true, "hr": true,
		"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "blockquote": true, "section": true,
	}
)

// tidy removes what markup leaves behind: runs of spaces and of empty lines.
func tidy(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// fewWords is the length below which equal words prove nothing about a note's origin.
const fewWords = 8

// contentHash identifies a note by its words, whatever the desk did to its markup and even when it lost the reference.
// It is nil for a text too short to be unmistakable.
func contentHash(markup, reference string) []byte {
	text := strings.ReplaceAll(textOf(markup), reference, " ")
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	h := sha256.New()
	n := 0
	for _, w := range words {
		if w == "ref" { // stands before the reference and may be lost with it
			continue
		}
		n++
		h.Write([]byte(w))
		h.Write([]byte{0})
	}
	if n < fewWords {
		return nil
	}
	return h.Sum(nil)
}

// hasReference reports whether the note's text has the reference as a word of its own.
func hasReference(markup, reference string) bool {
	for _, text := range []string{textOf(markup), inline(markup)} {
		for rest := text; ; {
			i := strings.Index(rest, reference)
			if i < 0 {
				break
			}
			end := i + len(reference)
			if (i == 0 || !wordByte(rest[i-1])) && (end == len(rest) || !wordByte(rest[end])) {
				return true
			}
			rest = rest[end:]
		}
	}
	return false
}

// inline is the text without any spaces for tags, for a desk that breaks long words with markup.
func inline(markup string) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			out.Write(z.Text())
		}
	}
}

// wordByte tells the characters of which references are made.
func wordByte(b byte) bool {
	return b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
