package enhancement

import (
	"regexp"
	"unicode"
	"unicode/utf8"

	"aiagents/modules/enhancement/evidence"
)

// requesterMark stands in a note where the name of the person who opened the ticket would.
const requesterMark = "[requester]"

// withoutRequester takes the requester's name out of an answer, for tenants that do not want it in notes. A requester that is
// no name, such as "monitoring" or "reception", is an ordinary word and stays.
func withoutRequester(a evidence.Answer, requester string) evidence.Answer {
	first, _ := utf8.DecodeRuneInString(requester)
	if !unicode.IsUpper(first) {
		return a
	}
	name, err := regexp.Compile(`(^|[^\pL\pN])` + regexp.QuoteMeta(requester) + `($|[^\pL\pN])`)
	if err != nil {
		return a // a quoted text always compiles
	}
	hide := func(text *string) { *text = name.ReplaceAllString(*text, "${1}"+requesterMark+"${2}") }
	if a.LikelyCause != nil {
		cause := *a.LikelyCause
		hide(&cause.Text)
		a.LikelyCause = &cause
	}
	for i := range a.Alternatives {
		hide(&a.Alternatives[i].Text)
	}
	for i := range a.Evidence {
		hide(&a.Evidence[i].Text)
	}
	for i := range a.Steps {
		hide(&a.Steps[i].Text)
	}
	for i := range a.Similar {
		hide(&a.Similar[i].Why)
	}
	return a
}
