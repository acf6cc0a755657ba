package notifier

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/internal/simulator/servicedesk"
)

func failure(messages string) string {
	return `{"response_status":{"status_code":4000,"status":"failed","messages":[` + messages + `]}}`
}

const page = "<!DOCTYPE html><html><body>Please log in</body></html>"

func TestAnswersAreClassifiedByCodeThenStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cloud  bool
		status int
		body   string
		want   class
	}{
		{"success", false, 200, `{"note":{"id":"1"},"response_status":{"status_code":2000,"status":"success"}}`, ""},
		{"success with messages", false, 200, `{"response_status":{"status_code":2000,"status":"success","messages":[{"status_code":0,"message":"Closed"}]}}`, ""},
		{"success as array", false, 200, `{"response_status":[{"status_code":2000,"status":"success"}]}`, ""},
		{"created", false, 201, `{"note":{"id":"1"}}`, ""},
		{"no content", false, 204, "", ""},
		{"failed inside 200", false, 200, failure(`{"status_code":4001,"field":"subject"}`), rejected},
		{"failed array inside 200", false, 200, `{"response_status":[{"status_code":4000,"status":"failed"}]}`, rejected},
		{"limit inside 200", false, 200, failure(`{"status_code":4015}`), limited},
		{"key inside 200", false, 200, failure(`{"status_code":4022}`), unauthorized},
		{"internal inside 200", false, 200, failure(`{"status_code":4004}`), serverError},
		{"missing inside 400", false, 400, failure(`{"status_code":4007}`), missing},
		{"not allowed inside 400", false, 400, failure(`{"status_code":4002}`), forbidden},
		{"extra key", false, 400, failure(`{"status_code":4001,"field":"request_note","message":"EXTRA_KEY_FOUND_IN_JSON"}`), wrongKey},
		{"extra key inside 200", false, 200, failure(`{"status_code":4001,"message":"EXTRA_KEY_FOUND_IN_JSON"}`), wrongKey},
		{"entity missing", false, 400, failure(`{"status_code":4012,"fields":["note"]}`), wrongKey},
		{"field missing", false, 400, failure(`{"status_code":4012,"fields":["description"]}`), rejected},
		{"plain 500", false, 500, failure(`{"status_code":4000}`), serverError},
		{"500 that says rejected", false, 500, failure(`{"status_code":4001}`), serverError},
		{"500 page", false, 500, page, serverError},
		{"503 empty", false, 503, "", serverError},
		{"504 page", false, 504, page, serverError},
		{"200 page", false, 200, page, lost},
		{"200 empty", false, 200, "", lost},
		{"200 cut JSON", false, 200, `{"note":{"id":`, lost},
		{"302", false, 302, page, lost},
		{"307", false, 307, page, moved},
		{"308", false, 308, "", moved},
		{"401 JSON", false, 401, failure(`{"status_code":4022}`), unauthorized},
		{"401 JSON on cloud", true, 401, failure(`{"status_code":4022}`), badToken},
		{"401 page on cloud", true, 401, page, unauthorized},
		{"400 page on cloud", true, 400, page, strayed},
		{"403 page", false, 403, page, forbidden},
		{"404 page", false, 404, page, strayed},
		{"404 JSON", false, 404, failure(`{"status_code":4007}`), missing},
		{"408", false, 408, page, lost},
		{"499", false, 499, "", lost},
		{"413 page", false, 413, page, strayed},
		{"429 page", false, 429, page, limited},
		{"429 JSON", true, 429, failure(`{"status_code":4015}`), limited},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			edition := EditionOnPrem
			if c.cloud {
				edition = EditionCloud
			}
			d := &sdp{link: &link{Connection: Connection{Edition: edition}}}
			err := d.judge(&http.Response{StatusCode: c.status, Header: http.Header{}}, []byte(c.body), time.Now())
			require.Equal(t, c.want, classOf(err))
			require.Equal(t, c.want == "", err == nil)
		})
	}
}

func TestTheTextOfAnAnswerStaysOut(t *testing.T) {
	t.Parallel()
	d := &sdp{link: &link{Connection: Connection{Edition: EditionOnPrem}}}
	err := d.judge(&http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}},
		[]byte(failure(`{"status_code":4001,"field":"description","message":"Invalid value: password is hunter2"}`)), time.Now())
	require.ErrorContains(t, err, "4001")
	require.ErrorContains(t, err, "description")
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, asFault(err).Error(), "hunter2")
}

func TestEveryClassHasAKindThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for c, want := range map[class]struct {
		kind    fault.Kind
		applied bool
	}{
		notSent: {fault.Unavailable, false}, heldBack: {fault.Unavailable, false}, refused: {fault.Forbidden, false},
		limited: {fault.Limited, false}, badToken: {fault.Unauthenticated, false}, unauthorized: {fault.Unauthenticated, false},
		forbidden: {fault.Forbidden, false}, missing: {fault.NotFound, false}, rejected: {fault.Invalid, false},
		wrongKey: {fault.Invalid, false}, moved: {fault.Invalid, false}, strayed: {fault.Unavailable, false},
		serverError: {fault.Unavailable, true}, lost: {fault.Unavailable, true},
	} {
		err := &callError{class: c}
		require.Equal(t, want.kind, fault.KindOf(asFault(err)), c)
		require.Equal(t, want.applied, maybeApplied(err), c)
	}
}

func TestRetryAfterIsReadInBothFormsAndBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              time.Minute,
		"soon":                          time.Minute,
		"-5":                            time.Minute,
		"7":                             7 * time.Second,
		"0":                             time.Second,
		"999999":                        15 * time.Minute,
		"Mon, 23 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT": time.Second,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Retry-After", value)
		}
		require.Equal(t, want, retryAfter(h, now), value)
	}
}

func TestTicketsAreReadWhateverTheDeskLeavesOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	b.conns.change(tenant, func(c *Connection) {
		c.BaseURL = serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"request":{"id":42,"subject":"A &amp; B","description":null,"short_description":"cut","status":{"name":"Open","id":"1"},
				"priority":null,"requester":{"name":"Dana","id":7},"account":{"id":301,"name":"Harbor Clinic"},
				"created_time":{"value":"1795400000000","display_value":"x"},"last_updated_time":null,"tags":[{"name":"vpn"}],"udf_fields":{"a":null}}}`))
		})
	})
	got, err := b.module().GetRequest(t.Context(), tenant, "42")
	require.NoError(t, err)
	require.Equal(t, Ticket{
		ID: "42", Subject: "A & B", Description: "cut", Status: "Open", Requester: "Dana", AccountID: "301", AccountName: "Harbor Clinic",
		Tags: []string{"vpn"}, CreatedAt: time.UnixMilli(1795400000000).UTC(),
	}, got)
}

func TestSuccessWithoutANoteIsLookedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.Generic))
	b.conns.change(tenant, func(c *Connection) {
		c.BaseURL = serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"ok":true}`))
		})
	})
	_, err := b.module().Post(t.Context(), b.request(b.ticket()))
	requireCode(t, err, fault.Unavailable, "NOTE_AMBIGUOUS")
}

func TestATicketIDCannotLeaveItsPlaceInThePath(t *testing.T) {
	t.Parallel()
	b := newBench(t, options(servicedesk.OnPrem))
	m := b.module()
	for _, id := range []string{"", ".", "..", "../solutions/1", "1/notes", "1?x=y", "1#z", "1%2f2", "1 2", strings.Repeat("1", 101)} {
		_, err := m.GetRequest(t.Context(), tenant, id)
		require.Equal(t, fault.Invalid, fault.KindOf(err), id)
		_, err = m.ListNotes(t.Context(), tenant, id)
		require.Equal(t, fault.Invalid, fault.KindOf(err), id)
		r := b.request("1")
		r.TicketID = id
		_, err = m.Post(t.Context(), r)
		require.Equal(t, fault.Invalid, fault.KindOf(err), id)
	}
	require.Zero(t, b.desk.Count(""))
}
