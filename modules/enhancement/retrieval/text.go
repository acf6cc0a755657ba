package retrieval

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// cleanText makes a text storable: valid UTF-8 and without the NUL that Postgres refuses.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// limited cuts a text to a number of bytes, at a rune.
func limited(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// plainText turns HTML into text with its lines, and leaves a text without markup as it is.
func plainText(s string) string {
	s = cleanText(s)
	if !looksLikeHTML(s) {
		return s
	}
	var b strings.Builder
	writeHTML(html.NewTokenizer(strings.NewReader(s)), &b, nil)
	return tidyLines(b.String())
}

// looksLikeHTML wants a well-known element: "<path>" or "a < b" in a text is none.
func looksLikeHTML(s string) bool {
	for rest := s; ; {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			return false
		}
		rest = strings.TrimPrefix(rest[i+1:], "/")
		name := rest[:min(len(rest), 12)]
		if end := strings.IndexAny(name, " \t\r\n/>"); end > 0 {
			switch atom.Lookup([]byte(strings.ToLower(name[:end]))) {
			case atom.Html, atom.Body, atom.Div, atom.P, atom.Br, atom.Span, atom.Table, atom.Ul, atom.Ol, atom.Li, atom.B,
				atom.A, atom.Font, atom.Strong, atom.Em, atom.Pre, atom.H1, atom.H2, atom.H3:
				return true
			}
		}
	}
}

// writeHTML writes the text of a document. For each heading it calls heading, where given, instead of writing its text.
func writeHTML(z *html.Tokenizer, b *strings.Builder, heading func(level int, text string)) {
	skipped := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		token := z.Token()
		switch {
		case isHidden(token.DataAtom):
			if kind == html.StartTagToken {
				skipped++
			} else if kind == html.EndTagToken && skipped > 0 {
				skipped--
			}
		case skipped > 0:
		case kind == html.TextToken:
			b.WriteString(token.Data)
		case kind == html.StartTagToken && heading != nil && headingLevel(token.DataAtom) > 0:
			heading(headingLevel(token.DataAtom), elementText(z, token.DataAtom))
		case token.DataAtom == atom.Td || token.DataAtom == atom.Th:
			b.WriteByte(' ')
		case isBlock(token.DataAtom):
			b.WriteByte('\n')
		}
	}
}

// elementText reads up to the end tag of an element.
func elementText(z *html.Tokenizer, element atom.Atom) string {
	var b strings.Builder
	for {
		switch kind := z.Next(); {
		case kind == html.ErrorToken:
			return oneLine(b.String())
		case kind == html.TextToken:
			b.WriteString(z.Token().Data)
		case kind == html.EndTagToken && z.Token().DataAtom == element:
			return oneLine(b.String())
		}
	}
}

func headingLevel(a atom.Atom) int {
	switch a {
	case atom.H1:
		return 1
	case atom.H2:
		return 2
	case atom.H3:
		return 3
	}
	return 0
}

func isHidden(a atom.Atom) bool {
	switch a {
	case atom.Script, atom.Style, atom.Title, atom.Noscript, atom.Template, atom.Nav:
		return true
	}
	return false
}

func isBlock(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Br, atom.Li, atom.Ul, atom.Ol, atom.Tr, atom.Table, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5,
		atom.H6, atom.Pre, atom.Blockquote, atom.Section, atom.Article, atom.Hr, atom.Dt, atom.Dd:
		return true
	}
	return false
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// tidyLines trims lines and leaves at most one empty line between two.
func tidyLines(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		line = oneLine(line)
		if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, line)
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}
