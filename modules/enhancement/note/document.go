package note

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// style is how a piece of a line looks.
type style int

const (
	plain style = iota
	strong
	code
)

// span is a piece of a line; text is printed as it is, after escaping.
type span struct {
	text  string
	style style
}

// line is one bullet, or one line of a paragraph. Lines of the lowest worth are left out first; worth essential never is.
type line struct {
	spans []span
	worth int
}

const essential = 1000

// block is a paragraph of lines, or a list with a heading.
type block struct {
	heading string
	list    bool
	ordered bool
	lines   []line
}

func (b block) empty() bool { return len(b.lines) == 0 }

type document []block

func (d document) html() string {
	var out strings.Builder
	for _, b := range d {
		if b.empty() {
			continue
		}
		if b.heading != "" {
			out.WriteString("<p><strong>" + html.EscapeString(b.heading) + "</strong></p>\n")
		}
		if !b.list {
			out.WriteString("<p>")
			for i, l := range b.lines {
				if i > 0 {
					out.WriteString("<br>")
				}
				writeSpans(&out, l.spans)
			}
			out.WriteString("</p>\n")
			continue
		}
		tag := "ul"
		if b.ordered {
			tag = "ol"
		}
		out.WriteString("<" + tag + ">\n")
		for _, l := range b.lines {
			out.WriteString("<li>")
			writeSpans(&out, l.spans)
			out.WriteString("</li>\n")
		}
		out.WriteString("</" + tag + ">\n")
	}
	return out.String()
}

func writeSpans(out *strings.Builder, spans []span) {
	for _, s := range spans {
		text := html.EscapeString(s.text)
		switch s.style {
		case strong:
			text = "<strong>" + text + "</strong>"
		case code:
			text = "<code>" + text + "</code>"
		case plain:
		}
		out.WriteString(text)
	}
}

// text writes the document for a terminal, with lines of at most width columns; 0 wraps nothing.
func (d document) text(width int) string {
	var out strings.Builder
	first := true
	for _, b := range d {
		if b.empty() {
			continue
		}
		if !first {
			out.WriteByte('\n')
		}
		first = false
		if b.heading != "" {
			out.WriteString(b.heading + "\n")
		}
		for i, l := range b.lines {
			mark := ""
			switch {
			case b.ordered:
				mark = " " + strconv.Itoa(i+1) + ". "
			case b.list:
				mark = " - "
			}
			wrap(&out, mark, l.text(), width)
		}
	}
	return out.String()
}

func (l line) text() string {
	var out strings.Builder
	for _, s := range l.spans {
		out.WriteString(s.text)
	}
	return out.String()
}

// wrap writes a line with a hanging indent below its mark.
func wrap(out *strings.Builder, mark, text string, width int) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	out.WriteString(mark)
	column := len(indent)
	for i, w := range strings.Fields(text) {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case width > 0 && column+1+n > width:
			out.WriteString("\n" + indent)
			column = len(indent)
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(w)
		column += n
	}
	out.WriteByte('\n')
}

func (d document) words() int { return len(strings.Fields(d.text(0))) }

// leastWorth finds the line to leave out next: of the lowest worth, and the last of those.
func (d document) leastWorth() (b, l int, ok bool) {
	least := essential
	for i := range d {
		for j := range d[i].lines {
			if w := d[i].lines[j].worth; w < essential && w <= least {
				b, l, least, ok = i, j, w, true
			}
		}
	}
	return b, l, ok
}
