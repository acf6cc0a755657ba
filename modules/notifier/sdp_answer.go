package notifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

var errNoEntity = errors.New("the answer lacks what was asked for")

// The codes of response_status that decide what a failure means, whatever the HTTP status.
const (
	codeFailed     = 4000 // and above
	codeForbidden  = 4002
	codeInternal   = 4004
	codeMissing    = 4007
	codeMandatory  = 4012
	codeLimited    = 4015
	codeBadKey     = 4022
	extraKey       = "EXTRA_KEY_FOUND_IN_JSON"
	statusOfFailed = "failed"
)

// envelope is any v3 answer.
type envelope struct {
	Status       statuses      `json:"response_status"`
	Info         listInfo      `json:"list_info"`
	Request      *sdpRequest   `json:"request"`
	Requests     []sdpRequest  `json:"requests"`
	Note         *sdpNote      `json:"note"`
	RequestNote  *sdpNote      `json:"request_note"`
	Notes        []sdpNote     `json:"notes"`
	RequestNotes []sdpNote     `json:"request_notes"`
	Resolution   *content      `json:"resolution"`
	Solution     *sdpSolution  `json:"solution"`
	Solutions    []sdpSolution `json:"solutions"`
	Assets       []sdpAsset    `json:"assets"`
	AssetAssets  []sdpAsset    `json:"asset_assets"`
}

func (e *envelope) note() *sdpNote {
	if e.Note != nil {
		return e.Note
	}
	return e.RequestNote
}

// next is the start of the page after one of n rows, and 0 after the last. An empty page ends the list whatever it says.
func (e *envelope) next(start, n int) int {
	if n == 0 || !e.Info.More {
		return 0
	}
	return start + n
}

type listInfo struct {
	More bool `json:"has_more_rows"`
}

// statuses is response_status: an object on single entities, an array on lists, an object on the lists of old builds.
type statuses []status

type status struct {
	Code     int       `json:"status_code"`
	Status   string    `json:"status"`
	Messages []message `json:"messages"`
}

type message struct {
	Code    int             `json:"status_code"`
	Type    string          `json:"type"`
	Field   string          `json:"field"`
	Fields  []string        `json:"fields"`
	Message json.RawMessage `json:"message"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *statuses) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		return json.Unmarshal(raw, (*[]status)(s))
	}
	var one status
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*s = statuses{one}
	return nil
}

// judge implements protocol. A failure may come inside HTTP 200, and a page of HTML with any status: for a request that
// was sent to a wrong place, or one that a proxy answered.
func (d *sdp) judge(resp *http.Response, body []byte, now time.Time) error {
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	e := &callError{status: resp.StatusCode}
	var answer struct {
		Status statuses `json:"response_status"`
	}
	isJSON := looksLikeJSON(resp.Header, body) && json.Unmarshal(body, &answer) == nil
	if isJSON {
		e.read(answer.Status)
		if resp.StatusCode < 300 && e.class == "" {
			return nil
		}
	}
	if e.class == "" || e.class == rejected && resp.StatusCode >= 500 {
		e.class = classOfStatus(resp.StatusCode, isJSON)
	}
	if e.class == limited {
		e.retryAfter = retryAfter(resp.Header, now)
	}
	if e.class == unauthorized && isJSON && d.link.cloud() {
		e.class = badToken
	}
	return e
}

func looksLikeJSON(h http.Header, body []byte) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return strings.HasSuffix(kind, "json") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
}

// classOfStatus is for answers whose body decides nothing.
func classOfStatus(status int, isJSON bool) class {
	switch {
	case status == http.StatusTooManyRequests:
		return limited
	case status == http.StatusUnauthorized:
		return unauthorized
	case status == http.StatusForbidden:
		return forbidden
	case status == http.StatusTemporaryRedirect, status == http.StatusPermanentRedirect:
		return moved
	case status == http.StatusRequestTimeout, status == 499, status < 400, status >= 500:
		return lostOr5xx(status)
	case !isJSON:
		return strayed
	case status == http.StatusNotFound, status == http.StatusGone:
		return missing
	}
	return rejected
}

func lostOr5xx(status int) class {
	if status >= 500 {
		return serverError
	}
	return lost
}

// read takes class, code and fields from a failed response_status; a good one leaves the class empty.
func (e *callError) read(all statuses) {
	for _, s := range all {
		if s.Code < codeFailed && s.Status != statusOfFailed {
			continue
		}
		e.class, e.code = rejected, s.Code
		for _, m := range s.Messages {
			if m.Code != 0 {
				e.code = m.Code
			}
			e.fields = append(e.fields, m.Fields...)
			if m.Field != "" {
				e.fields = append(e.fields, m.Field)
			}
			if bytes.Contains(m.Message, []byte(extraKey)) || m.Code == codeMandatory && m.namesEnvelope() {
				e.class = wrongKey
			}
		}
		switch e.code {
		case codeForbidden:
			e.class = forbidden
		case codeInternal:
			e.class = serverError
		case codeMissing:
			e.class = missing
		case codeLimited:
			e.class = limited
		case codeBadKey:
			e.class = unauthorized
		}
	}
}

// namesEnvelope reports whether the field that is missing is the note itself.
func (m message) namesEnvelope() bool {
	return slices.ContainsFunc(append([]string{m.Field}, m.Fields...), func(f string) bool {
		return f == "note" || f == "request_note"
	})
}

// id is an id that may come as text or as a number.
type id string

// UnmarshalJSON implements json.Unmarshaler.
func (i *id) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" {
		text = ""
	}
	*i = id(text)
	return nil
}

type lookup struct {
	ID   id     `json:"id"`
	Name string `json:"name"`
}

type content struct {
	Content string `json:"content"`
}

// stamp is a date: {"value":"<epoch milliseconds>"}, or null.
type stamp struct {
	Value id `json:"value"`
}

func (s *stamp) time() time.Time {
	if s == nil {
		return time.Time{}
	}
	ms, err := strconv.ParseInt(string(s.Value), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

type sdpRequest struct {
	ID               id       `json:"id"`
	DisplayID        id       `json:"display_id"`
	Subject          string   `json:"subject"`
	Description      *string  `json:"description"`
	ShortDescription string   `json:"short_description"`
	Resolution       *content `json:"resolution"`
	Status           *lookup  `json:"status"`
	Priority         *lookup  `json:"priority"`
	Category         *lookup  `json:"category"`
	Requester        *lookup  `json:"requester"`
	Technician       *lookup  `json:"technician"`
	Site             *lookup  `json:"site"`
	Account          *lookup  `json:"account"`
	Tags             []lookup `json:"tags"`
	Created          *stamp   `json:"created_time"`
	Updated          *stamp   `json:"last_updated_time"`
	Resolved         *stamp   `json:"resolved_time"`
	Completed        *stamp   `json:"completed_time"`
	IsServiceRequest bool     `json:"is_service_request"`
}

func (l *lookup) name() string {
	if l == nil {
		return ""
	}
	return l.Name
}

// ticket takes what is there: on lists many fields are missing, and empty lookups are null.
func (r *sdpRequest) ticket() Ticket {
	t := Ticket{
		ID: string(r.ID), DisplayID: string(r.DisplayID), Subject: textOf(r.Subject), Description: textOf(r.ShortDescription),
		Priority: r.Priority.name(), Category: r.Category.name(), Status: r.Status.name(),
		Requester: r.Requester.name(), Technician: r.Technician.name(), Site: r.Site.name(),
		CreatedAt: r.Created.time(), UpdatedAt: r.Updated.time(), ResolvedAt: r.Resolved.time(),
		ServiceRequest: r.IsServiceRequest,
	}
	if r.Description != nil {
		t.Description = textOf(*r.Description)
	}
	if r.Resolution != nil {
		t.Resolution = textOf(r.Resolution.Content)
	}
	if r.Account != nil {
		t.AccountID, t.AccountName = string(r.Account.ID), r.Account.Name
	}
	if t.ResolvedAt.IsZero() {
		t.ResolvedAt = r.Completed.time()
	}
	for _, tag := range r.Tags {
		t.Tags = append(t.Tags, tag.Name)
	}
	return t
}

type sdpNote struct {
	ID          id      `json:"id"`
	Description *string `json:"description"`
	AddedBy     *lookup `json:"added_by"`
	CreatedBy   *lookup `json:"created_by"`
	Added       *stamp  `json:"added_time"`
	Created     *stamp  `json:"created_time"`
}

// note reads both spellings: older builds say created_by and created_time.
func (n *sdpNote) note() Note {
	out := Note{ID: string(n.ID), Author: n.AddedBy.name() + n.CreatedBy.name(), AddedAt: n.Added.time()}
	if n.Description != nil {
		out.HTML = *n.Description
	}
	if out.AddedAt.IsZero() {
		out.AddedAt = n.Created.time()
	}
	return out
}

type sdpSolution struct {
	ID          id      `json:"id"`
	Title       string  `json:"title"`
	Description *string `json:"description"`
	Topic       *lookup `json:"topic"`
	Keywords    string  `json:"keywords"`
	Public      bool    `json:"is_public"`
	Approval    *lookup `json:"approval_status"`
	Account     *lookup `json:"account"`
	Expires     *stamp  `json:"expiry_date"`
	Updated     *stamp  `json:"last_updated_time"`
}

func (s *sdpSolution) solution() Solution {
	out := Solution{
		ID: string(s.ID), Title: textOf(s.Title), Topic: s.Topic.name(), Status: s.Approval.name(), Public: s.Public,
		ExpiresAt: s.Expires.time(), UpdatedAt: s.Updated.time(),
	}
	for k := range strings.SplitSeq(s.Keywords, ",") {
		if k = strings.TrimSpace(k); k != "" {
			out.Keywords = append(out.Keywords, k)
		}
	}
	if s.Description != nil {
		out.Text, out.HTML = textOf(*s.Description), *s.Description
	}
	if s.Account != nil {
		out.AccountID = string(s.Account.ID)
	}
	return out
}
