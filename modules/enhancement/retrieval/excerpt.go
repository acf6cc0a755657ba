package retrieval

import (
	"strings"
	"unicode"

	"github.com/blevesearch/snowballstem"
)

// excerptBytes is about how long an excerpt is.
const excerptBytes = 300

// excerpter picks the passage of a text that shares most with a query.
type excerpter struct {
	lang  *language
	terms map[string]bool
}

func newExcerpter(q Query) *excerpter {
	tokens := tokenise(q.Subject + "\n" + plainText(q.Description))
	e := &excerpter{lang: detect(tokens), terms: make(map[string]bool, len(tokens))}
	env := snowballstem.NewEnv("")
	for _, t := range tokens {
		if s := e.lang.normalise(t, env); s != "" {
			e.terms[s] = true
		}
	}
	return e
}

// best gives the passage with the most distinct terms of the query, the first one among equals.
func (e *excerpter) best(text string) string {
	env := snowballstem.NewEnv("")
	var found string
	top := -1
	for _, passage := range passages(text, excerptBytes) {
		shared := map[string]bool{}
		for _, t := range tokenise(passage) {
			if s := e.lang.normalise(t, env); e.terms[s] {
				shared[s] = true
			}
		}
		if len(shared) > top {
			found, top = passage, len(shared)
		}
	}
	return found
}

// passages cuts a text into pieces of at most n bytes, at ends of lines and sentences where it can.
func passages(text string, n int) []string {
	var out []string
	var current string
	for _, sentence := range sentences(text) {
		for len(sentence) > n {
			head := limited(sentence, n)
			if space := strings.LastIndexByte(head, ' '); space > n/2 {
				head = head[:space]
			}
			out = append(out, strings.TrimSpace(head))
			sentence = strings.TrimSpace(sentence[len(head):])
		}
		if current != "" && len(current)+1+len(sentence) > n {
			out = append(out, current)
			current = ""
		}
		current = strings.TrimSpace(current + " " + sentence)
	}
	if current != "" {
		out = append(out, current)
	}
	return out
}

// sentences ends at a line's end, and at . ! ? before a space and a capital or digit, so that "e.g. this" and "10.2.3.4"
// stay whole.
func sentences(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = oneLine(line)
		start := 0
		for i := 0; i+2 < len(line); i++ {
			if strings.IndexByte(".!?", line[i]) >= 0 && line[i+1] == ' ' && startsSentence(line[i+2:]) {
				out = append(out, line[start:i+1])
				start = i + 2
			}
		}
		if start < len(line) {
			out = append(out, line[start:])
		}
	}
	return out
}

func startsSentence(s string) bool {
	for _, r := range s {
		return unicode.IsUpper(r) || unicode.IsDigit(r)
	}
	return false
}
