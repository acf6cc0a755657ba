package note

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// TextOf prints the HTML of a note for a terminal: what stands on a ticket, read back, after the desk's own sanitising. It
// knows the few elements that a note is made of and prints the text of all others.
func TextOf(markup string, width int) string {
	if width <= 0 {
		width = 88
	}
	p := textPrinter{width: max(width, 20)}
	z := html.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case html.ErrorToken:
			p.flush()
			return strings.TrimSpace(p.out.String())
		case html.TextToken:
			p.line.WriteString(html.UnescapeString(string(z.Raw())))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			p.start(string(name))
		case html.EndTagToken:
			name, _ := z.TagName()
			p.end(string(name))
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

type textPrinter struct {
	out   strings.Builder
	line  strings.Builder
	width int
	mark  string
	// number is the number of the last item of an ordered list, or -1 outside of one.
	number int
}

func (p *textPrinter) start(element string) {
	switch element {
	case "br", "p", "pre":
		p.flush()
	case "ul":
		p.flush()
		p.number = -1
	case "ol":
		p.flush()
		p.number = 0
	case "li":
		p.flush()
		p.mark = "- "
		if p.number >= 0 {
			p.number++
			p.mark = strconv.Itoa(p.number) + ". "
		}
	}
}

func (p *textPrinter) end(element string) {
	switch element {
	case "p", "pre", "ul", "ol":
		p.flush()
		p.out.WriteByte('\n')
	case "li":
		p.flush()
	}
}

func (p *textPrinter) flush() {
	text := strings.Join(strings.Fields(p.line.String()), " ")
	p.line.Reset()
	if text != "" {
		wrap(&p.out, p.mark, text, p.width)
	}
	p.mark = ""
}
