package docsearch

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"aiagents/modules/enhancement/evidence"
)

const (
	maxTitle   = 200
	maxExcerpt = 300
)

// plain is the text of HTML, with its lines; a text without markup passes. Confluence marks what it found with words of its
// own, which go too.
func plain(s string) string {
	s = strings.NewReplacer("@@@hl@@@", "", "@@@endhl@@@", "").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	if !strings.ContainsAny(s, "<&") {
		return tidy(s)
	}
	var out strings.Builder
	hidden := 0
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return tidy(out.String())
		}
		token := z.Token()
		switch token.DataAtom {
		case atom.Script, atom.Style, atom.Template, atom.Noscript:
			if kind == html.StartTagToken {
				hidden++
			} else if kind == html.EndTagToken {
				hidden = max(0, hidden-1)
			}
			continue
		case atom.P, atom.Div, atom.Br, atom.Li, atom.Tr, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Pre, atom.Table:
			out.WriteByte('\n')
		case atom.Td, atom.Th:
			out.WriteByte(' ')
		}
		if kind == html.TextToken && hidden == 0 {
			out.WriteString(token.Data)
		}
	}
}

func tidy(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = oneLine(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func masked(s string) string {
	s, _ = evidence.MaskSecrets(s)
	return s
}

// cut shortens a text to a number of bytes, at a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n])
}

// excerpt is the passage of a text, about three lines, that has most of the keywords; the first one among equals. Secrets are
// masked before the text is cut, which could hide what gives them away.
func excerpt(text string, keywords []string) string {
	lines := strings.Split(masked(text), "\n")
	best, most := "", -1.0
	for i := range lines {
		passage := lines[i]
		for _, next := range lines[i+1:] {
			if len(passage)+len(next) >= maxExcerpt {
				break
			}
			passage += "\n" + next
		}
		passage = window(passage, keywords)
		if s := share(passage, keywords); s > most {
			best, most = passage, s
		}
	}
	return best
}

// window cuts a passage that is too long around its first keyword.
func window(passage string, keywords []string) string {
	if len(passage) <= maxExcerpt {
		return passage
	}
	low, first := strings.ToLower(passage), -1
	for _, k := range keywords {
		if i := strings.Index(low, strings.ToLower(k)); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	// Lower case may have another length in some languages; then the front has to do.
	if first > maxExcerpt/2 && len(low) == len(passage) {
		if space := strings.IndexByte(passage[first-maxExcerpt/3:], ' '); space >= 0 {
			passage = passage[first-maxExcerpt/3+space+1:]
		}
	}
	return cut(passage, maxExcerpt)
}
