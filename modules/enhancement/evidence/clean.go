package evidence

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Hidden counts what was taken out of untrusted text because a person reading it would not have seen it. It is kept with
// the run: a ticket full of invisible characters is worth a look.
type Hidden struct {
	// Characters are zero-width, direction-changing, tag and control characters.
	Characters int `json:"characters,omitempty"`
	// Markup are HTML comments, scripts, styles and elements styled to be invisible.
	Markup int `json:"markup,omitempty"`
	// Encoded are runs of base64 or hex that hide readable text.
	Encoded int `json:"encoded,omitempty"`
}

// Total is the number of findings of all kinds.
func (h Hidden) Total() int { return h.Characters + h.Markup + h.Encoded }

// EncodedMark stands where encoded text was taken out.
const EncodedMark = "[encoded]"

// Clean returns a copy of the bundle in which every text is what a person would have read: visible characters, no markup,
// no encoded text. Cleaning twice changes nothing more, and the bundle passed in is left as it was.
func Clean(b Bundle) (Bundle, Hidden) {
	var h Hidden
	clean := func(fields ...*string) {
		for _, f := range fields {
			*f = plain(*f, &h)
		}
	}
	t := &b.Ticket
	clean(&t.Subject, &t.Description, &t.Priority, &t.Category, &t.Requester, &t.AccountName)
	b.Similar = append([]SimilarTicket(nil), b.Similar...)
	for i := range b.Similar {
		s := &b.Similar[i]
		clean(&s.ID, &s.Subject, &s.Excerpt, &s.Resolution)
	}
	b.Articles = append([]Article(nil), b.Articles...)
	for i := range b.Articles {
		a := &b.Articles[i]
		clean(&a.ID, &a.Title, &a.Section, &a.Excerpt)
	}
	b.Systems = append([]System(nil), b.Systems...)
	for i := range b.Systems {
		s := &b.Systems[i]
		clean(&s.ID, &s.Hostname, &s.IP, &s.Role, &s.Location, &s.MatchedBy)
		s.Metadata = maps.Clone(s.Metadata)
		for k, v := range s.Metadata {
			s.Metadata[k] = plain(v, &h)
		}
	}
	b.Monitoring = append([]Observation(nil), b.Monitoring...)
	for i := range b.Monitoring {
		m := &b.Monitoring[i]
		clean(&m.ID, &m.Provider, &m.Host, &m.Summary, &m.Severity)
	}
	b.Sources = append([]SourceReport(nil), b.Sources...)
	for i := range b.Sources {
		clean(&b.Sources[i].Name, &b.Sources[i].Reason)
	}
	return b, h
}

// PlainText is Clean for one text.
func PlainText(s string) (string, Hidden) {
	var h Hidden
	return plain(s, &h), h
}

// mostPasses bounds how often markup may be wrapped in markup; no honest text needs more than two.
const mostPasses = 8

// Entities may spell hidden characters or further markup, and hidden characters may interrupt markup, so both are taken
// out in turn until nothing is left of either. Encoded text is searched last, in what nothing interrupts any more.
func plain(s string, h *Hidden) string {
	s = stripInvisible(s, h)
	for range mostPasses {
		if !markup.MatchString(s) {
			return stripEncoded(s, h)
		}
		s = stripInvisible(stripMarkup(s, h), h)
	}
	return stripEncoded(strings.ReplaceAll(s, "<", "‹"), h)
}

// plainASCII reports whether s is of visible ASCII characters, spaces, tabs and line feeds only.
func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7F || (c < ' ' && c != '\n' && c != '\t') {
			return false
		}
	}
	return true
}

func stripInvisible(s string, h *Hidden) string {
	if plainASCII(s) {
		return s
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case invisible(r):
			h.Characters++
			return -1
		}
		return r
	}, s)
}

// invisible covers Unicode's control and format characters (zero width, bidi, tags, soft hyphen, BOM) and the few that
// Unicode counts as letters or marks although they show nothing.
func invisible(r rune) bool {
	switch {
	case r < 0x7F:
		return r < ' '
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
		return true
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return true
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x2800, r == 0x3164, r == 0xFFA0:
		return true
	case r >= 0x180B && r <= 0x180F, r >= 0xE0000 && r <= 0xE0FFF, r >= 0xFFF0 && r <= 0xFFFB:
		return true
	}
	return false
}

// markup finds HTML by its element names, so that "<fs-01>" and "<user@example.com>" in plain text stay what they are.
var markup = regexp.MustCompile(`(?i)<!--|<!doctype|</?(?:` + elements + `)(?:[\s/>]|$)`)

const elements = `a|abbr|address|article|audio|b|base|blockquote|body|br|button|center|code|col|colgroup|dd|details|div|dl|dt|em|embed|` +
	`fieldset|figure|font|footer|form|frame|frameset|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|label|li|link|main|map|` +
	`marquee|math|meta|nav|noscript|object|ol|option|p|pre|s|samp|script|section|select|small|source|span|strike|strong|style|` +
	`sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|tt|u|ul|var|video|wbr`

var (
	elementName = regexp.MustCompile(`^(?i:` + elements + `)$`)
	blockName   = regexp.MustCompile(`^(?:address|article|blockquote|br|center|dd|div|dl|dt|fieldset|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|tr|ul)$`)
	voidName    = regexp.MustCompile(`^(?:base|br|col|embed|frame|hr|img|input|link|meta|source|wbr)$`)
	unseenName  = regexp.MustCompile(`^(?:script|style|template|title|head|noscript|iframe|object|svg|math|textarea|select|audio|video)$`)
	unseenStyle = regexp.MustCompile(`(?i)display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0|opacity\s*:\s*0(?:\.0*)?\s*(?:;|$)|` +
		`(?:^|;)\s*(?:color\s*:\s*(?:transparent|white\b|#fff\b|#ffffff\b)|(?:width|height|max-height)\s*:\s*0(?:px)?\s*(?:;|$))|` +
		`(?:left|top|text-indent)\s*:\s*-\d{3,}`)
)

// stripMarkup keeps the text that a browser would show. Elements that show nothing are dropped with their content.
func stripMarkup(s string, h *Hidden) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	unseen, depth := "", 0 // the element being skipped, and how deep it is nested in itself
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.String()
		}
		raw := string(z.Raw())
		token := z.Token()
		switch {
		case unseen != "":
			if token.Data == unseen && kind == html.StartTagToken {
				depth++
			} else if token.Data == unseen && kind == html.EndTagToken {
				if depth--; depth == 0 {
					unseen = ""
				}
			}
		case kind == html.TextToken:
			out.WriteString(token.Data)
		case kind == html.CommentToken:
			h.Markup++
		case kind == html.DoctypeToken:
		case !elementName.MatchString(token.Data):
			out.WriteString(raw)
		case kind == html.StartTagToken && !voidName.MatchString(token.Data) && unseenElement(token):
			h.Markup++
			unseen, depth = token.Data, 1
		case blockName.MatchString(token.Data):
			out.WriteByte('\n')
		}
	}
}

func unseenElement(t html.Token) bool {
	if unseenName.MatchString(t.Data) {
		return true
	}
	for _, a := range t.Attr {
		if a.Key == "hidden" || (a.Key == "style" && unseenStyle.MatchString(a.Val)) {
			return true
		}
	}
	return false
}

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{32,}={0,2}`)
	hexRun    = regexp.MustCompile(`(?:[0-9A-Fa-f]{2}[ :]?){24,}`)
)

// noiseLength is where a run of base64 is taken out even if it decodes to nothing readable: no technician reads it.
const noiseLength = 200

func stripEncoded(s string, h *Hidden) string {
	if hasRun(s, 32, base64Class) {
		s = stripBase64(s, h)
	}
	if hasRun(s, 48, hexClass) {
		s = stripHex(s, h)
	}
	return s
}

func stripBase64(s string, h *Hidden) string {
	return base64Run.ReplaceAllStringFunc(s, func(run string) string {
		body := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(run, "="))
		decoded, err := base64.RawStdEncoding.DecodeString(body[:len(body)-len(body)%4])
		if (err == nil && readable(decoded)) || len(run) >= noiseLength {
			h.Encoded++
			return EncodedMark
		}
		return run
	})
}

func stripHex(s string, h *Hidden) string {
	return hexRun.ReplaceAllStringFunc(s, func(run string) string {
		decoded, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(run))
		if err == nil && readable(decoded) {
			h.Encoded++
			return EncodedMark
		}
		return run
	})
}

// readable reports whether bytes are text: valid UTF-8, nearly all of it printable. Random bytes are never both.
func readable(b []byte) bool {
	if len(b) < 16 || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}
