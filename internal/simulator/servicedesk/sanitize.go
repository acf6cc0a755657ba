package servicedesk

import (
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// policy keeps the formatting a rich text field keeps. Comments, scripts, styles,
// ids, classes, data attributes and event handlers are lost.
var policy = func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "div", "span", "b", "strong", "i", "em", "u", "s", "sub", "sup", "small",
		"h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code",
		"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption")
	p.AllowStandardURLs()
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("colspan", "rowspan").Matching(bluemonday.Integer).OnElements("td", "th")
	p.AllowStyles("color", "background-color", "font-weight", "font-style", "text-decoration", "text-align").Globally()
	p.RequireNoFollowOnLinks(false)
	return p
}()

// mayHide is the cheap test that saves most notes a parse.
var mayHide = regexp.MustCompile(`(?i)hidden|display|visibility|font-size|opacity`)

// hiding matches styles that keep text from a reader.
var hiding = regexp.MustCompile(`(?i)display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(;|$|\s)`)

// sanitize stores HTML the way the desk does: what a reader cannot see is gone.
func sanitize(s string) string {
	if s == "" {
		return s
	}
	if mayHide.MatchString(s) {
		s = dropHidden(s)
	}
	return policy.Sanitize(s)
}

// dropHidden removes elements hidden by attribute or style together with their text,
// which the policy alone would keep.
func dropHidden(s string) string {
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(s), body)
	if err != nil {
		return ""
	}
	for _, n := range nodes {
		body.AppendChild(n)
	}
	pruneHidden(body)
	var out strings.Builder
	for n := body.FirstChild; n != nil; n = n.NextSibling {
		if html.Render(&out, n) != nil {
			return ""
		}
	}
	return out.String()
}

// pruneHidden drops hidden elements at any depth.
func pruneHidden(parent *html.Node) {
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		if isHidden(n) {
			parent.RemoveChild(n)
		} else {
			pruneHidden(n)
		}
		n = next
	}
}

func isHidden(n *html.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "hidden" || (a.Key == "style" && hiding.MatchString(a.Val)) ||
			(a.Key == "type" && strings.EqualFold(a.Val, "hidden")) {
			return true
		}
	}
	return false
}
