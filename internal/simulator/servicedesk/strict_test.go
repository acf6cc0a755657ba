package servicedesk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func TestNewRefusesIncompleteOptions(t *testing.T) {
	t.Parallel()
	oauth := servicedesk.OAuth{ClientID: "c", ClientSecret: "s", RefreshToken: "r"}
	for name, o := range map[string]servicedesk.Options{
		"no edition":        {APIKey: "k"},
		"no key":            {Edition: servicedesk.OnPrem},
		"generic, no key":   {Edition: servicedesk.Generic},
		"cloud, no portal":  {Edition: servicedesk.Cloud, OAuth: oauth},
		"cloud, no secret":  {Edition: servicedesk.Cloud, Portal: "itdesk"},
		"msp, no account":   {Edition: servicedesk.MSPOnPrem, APIKey: "k"},
		"unknown note key":  {Edition: servicedesk.OnPrem, APIKey: "k", NoteKey: "comment"},
		"bad body template": {Edition: servicedesk.OnPrem, APIKey: "k", Webhooks: []servicedesk.Webhook{{Body: "{{"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := servicedesk.New(o)
			require.Error(t, err)
		})
	}
}

// Each case is one thing the real desk refuses; the good call beside it passes.
func TestRefusals(t *testing.T) {
	t.Parallel()
	good := `{"note":{"description":"hi","show_to_requester":false,"notify_technician":false}}`
	notes := "/api/v3/requests/1/notes"
	for _, tc := range []struct {
		name, method, path, contentType, body string
		header                                map[string]string
		status, code                          int
		field, message                        string
	}{
		{name: "the good call", method: "POST", path: notes, body: form(good), status: 200},
		{name: "no key", method: "POST", path: notes, body: form(good), header: map[string]string{"Authtoken": ""}, status: 401, code: 4022},
		{name: "wrong key", method: "POST", path: notes, body: form(good), header: map[string]string{"Authtoken": "key-2"}, status: 401, code: 4022},
		{
			name: "key as bearer", method: "POST", path: notes, body: form(good),
			header: map[string]string{"Authtoken": "", "Authorization": "Bearer key-1"}, status: 401, code: 4022,
		},
		{name: "no Accept", method: "POST", path: notes, body: form(good), header: map[string]string{"Accept": ""}, status: 400, code: 4001, field: "Accept"},
		{name: "plain JSON Accept", method: "POST", path: notes, body: form(good), header: map[string]string{"Accept": "application/json"}, status: 400, code: 4001, field: "Accept"},
		{name: "JSON body", method: "POST", path: notes, contentType: "application/json", body: good, status: 400, code: 4012, field: "input_data"},
		{name: "no body", method: "POST", path: notes, status: 400, code: 4012, field: "input_data"},
		{name: "broken JSON", method: "POST", path: notes, body: form(`{"note":`), status: 400, code: 4001, field: "input_data"},
		{name: "two documents", method: "POST", path: notes, body: form(good + good), status: 400, code: 4001, field: "input_data"},
		{name: "input_data twice", method: "POST", path: notes, body: form(good) + "&" + form(good), status: 400, code: 4001, field: "input_data"},
		{name: "input_data in the query", method: "POST", path: notes + "?" + form(good), status: 400, code: 4012, field: "input_data"},
		{name: "unknown parameter", method: "POST", path: notes, body: form(good) + "&format=json", status: 400, code: 4001, field: "format", message: "EXTRA_PARAM_FOUND"},
		{name: "unknown query parameter", method: "GET", path: notes + "?limit=5", status: 400, code: 4001, field: "limit", message: "EXTRA_PARAM_FOUND"},
		{
			name: "wrong envelope", method: "POST", path: notes, body: form(`{"request_note":{"description":"hi"}}`),
			status: 400, code: 4001, field: "request_note", message: "EXTRA_KEY_FOUND_IN_JSON",
		},
		{
			name: "two envelopes", method: "POST", path: notes, body: form(`{"note":{"description":"hi"},"request_note":{}}`),
			status: 400, code: 4001, field: "request_note", message: "EXTRA_KEY_FOUND_IN_JSON",
		},
		{
			name: "unknown key", method: "POST", path: notes, body: form(`{"note":{"description":"hi","is_private":true}}`),
			status: 400, code: 4001, field: "note.is_private", message: "EXTRA_KEY_FOUND_IN_JSON",
		},
		{name: "no description", method: "POST", path: notes, body: form(`{"note":{"show_to_requester":false}}`), status: 400, code: 4012, field: "note.description"},
		{name: "empty description", method: "POST", path: notes, body: form(`{"note":{"description":""}}`), status: 400, code: 4012, field: "note.description"},
		{name: "empty note", method: "POST", path: notes, body: form(`{}`), status: 400, code: 4012, field: "note"},
		{
			name: "flag as text", method: "POST", path: notes, body: form(`{"note":{"description":"hi","show_to_requester":"false"}}`),
			status: 400, code: 4021, field: "note.show_to_requester",
		},
		{
			name: "flag as number", method: "POST", path: notes, body: form(`{"note":{"description":"hi","notify_technician":0}}`),
			status: 400, code: 4021, field: "note.notify_technician",
		},
		{name: "description as object", method: "POST", path: notes, body: form(`{"note":{"description":{}}}`), status: 400, code: 4021, field: "note.description"},
		{name: "unknown ticket", method: "POST", path: "/api/v3/requests/99/notes", body: form(good), status: 404, code: 4007},
		{name: "unknown ticket, get", method: "GET", path: "/api/v3/requests/99", status: 404, code: 4007},
		{name: "ticket id no number", method: "GET", path: "/api/v3/requests/abc", status: 404, code: 4007},
		{name: "unknown note", method: "GET", path: notes + "/77", status: 404, code: 4007},
		{name: "unknown path", method: "GET", path: "/api/v3/tickets", status: 404, code: 4007},
		{name: "wrong method", method: "PATCH", path: notes, body: form(good), status: 404, code: 4007},
		{name: "subject missing", method: "POST", path: "/api/v3/requests", body: form(`{"request":{"description":"x"}}`), status: 400, code: 4012, field: "request.subject"},
		{
			name: "subject too long", method: "POST", path: "/api/v3/requests", body: form(`{"request":{"subject":"` + strings.Repeat("x", 251) + `"}}`),
			status: 400, code: 4001, field: "request.subject",
		},
		{
			name: "lookup as text", method: "POST", path: "/api/v3/requests", body: form(`{"request":{"subject":"x","priority":"High"}}`),
			status: 400, code: 4021, field: "request.priority",
		},
		{
			name: "unknown lookup key", method: "POST", path: "/api/v3/requests", body: form(`{"request":{"subject":"x","priority":{"label":"High"}}}`),
			status: 400, code: 4001, field: "request.priority.label", message: "EXTRA_KEY_FOUND_IN_JSON",
		},
		{
			name: "closing without closure_info", method: "PUT", path: "/api/v3/requests/1/close", body: form(`{"request":{}}`),
			status: 400, code: 4012, field: "request.closure_info",
		},
		{
			name: "resolution without content", method: "POST", path: "/api/v3/requests/1/resolutions", body: form(`{"resolution":{}}`),
			status: 400, code: 4012, field: "resolution.content",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, servicedesk.Options{})
			c.ticket(servicedesk.Ticket{})
			for k, v := range tc.header {
				if c.header.Set(k, v); v == "" {
					c.header[k] = nil
				}
			}
			contentType := tc.contentType
			if contentType == "" && tc.method != "GET" {
				contentType = formType
			}
			g := c.do(tc.method, tc.path, contentType, tc.body)
			require.Equal(t, tc.status, g.status, g.text)
			if tc.code == 0 {
				return
			}
			code, field, message := g.message(t)
			require.InDelta(t, tc.code, code, 0)
			require.Equal(t, tc.field, field)
			if tc.message != "" {
				require.Equal(t, tc.message, message)
			}
			require.Empty(t, c.desk.Notes("1"), "a refused call must change nothing")
		})
	}
}

func TestListRefusals(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	c.ticket(servicedesk.Ticket{})
	require.Equal(t, 200, c.list("/requests", `{"list_info":{"row_count":"100","start_index":0}}`).status)
	for _, tc := range []struct {
		name, info string
		code       int
		field      string
	}{
		{"row_count over 100", `{"row_count":101}`, 4001, "list_info.row_count"},
		{"row_count zero", `{"row_count":0}`, 4001, "list_info.row_count"},
		{"row_count text", `{"row_count":"many"}`, 4021, "list_info.row_count"},
		{"unknown key", `{"limit":5}`, 4001, "list_info.limit"},
		{"total as text", `{"get_total_count":"true"}`, 4021, "list_info.get_total_count"},
		{"unknown sort field", `{"sort_field":"colour"}`, 4001, "list_info.sort_field"},
		{"unknown order", `{"sort_order":"down"}`, 4001, "list_info.sort_order"},
		{"unknown criterion field", `{"search_criteria":{"field":"colour","condition":"is","value":"x"}}`, 4001, "list_info.search_criteria.field"},
		{"unknown condition", `{"search_criteria":{"field":"subject","condition":"resembles","value":"x"}}`, 4001, "list_info.search_criteria.condition"},
		{"criterion without field", `{"search_criteria":[{"condition":"is","value":"x"}]}`, 4012, "list_info.search_criteria.field"},
		{"criterion extra key", `{"search_criteria":{"field":"subject","condition":"is","text":"x"}}`, 4001, "list_info.search_criteria.text"},
		{"criteria as text", `{"search_criteria":"open"}`, 4021, "list_info.search_criteria"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := c.list("/requests", `{"list_info":`+tc.info+`}`)
			require.Equal(t, 400, g.status, g.text)
			code, field, _ := g.message(t)
			require.InDelta(t, tc.code, code, 0)
			require.Equal(t, tc.field, field)
		})
	}
}

func TestListIgnoresBodyOfGet(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	for range 3 {
		c.ticket(servicedesk.Ticket{})
	}
	g := c.do("GET", c.prefix+"/requests", formType, form(`{"list_info":{"row_count":1}}`))
	require.Len(t, g.rows(t, "requests"), 3)
}

func TestPlacesOutsideTheAPIAnswerHTML(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{Portal: "itdesk"})
	c.ticket(servicedesk.Ticket{})
	require.Equal(t, 200, c.do("GET", "/app/itdesk/api/v3/requests/1", "", "").status)
	g := c.do("GET", "/app/other/api/v3/requests/1", "", "")
	require.Equal(t, 404, g.status)
	require.Nil(t, g.json)
	require.Contains(t, g.header.Get("Content-Type"), "text/html")
}

func TestKeyInOtherPlaces(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	c.ticket(servicedesk.Ticket{})
	c.header.Del("Authtoken")
	c.header.Set("TECHNICIAN_KEY", "key-1")
	require.Equal(t, 200, c.get("/requests/1").status)
	c.header.Del("TECHNICIAN_KEY")
	require.Equal(t, 200, c.get("/requests/1?TECHNICIAN_KEY=key-1").status)
	require.Equal(t, 401, c.get("/requests/1").status)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{RatePerMinute: 2, Clock: now.Now})
	c.ticket(servicedesk.Ticket{})
	require.Equal(t, 200, c.get("/requests/1").status)
	require.Equal(t, 200, c.get("/requests/1").status)
	now.Add(18 * 1e9)
	g := c.get("/requests/1")
	require.Equal(t, 429, g.status)
	code, _, _ := g.message(t)
	require.InDelta(t, 4015, code, 0)
	require.Equal(t, "42", g.header.Get("Retry-After"))
	require.Equal(t, 200, c.list("/requests", `{}`).status, "limits are per operation")
	now.Add(42 * 1e9)
	require.Equal(t, 200, c.get("/requests/1").status)
}

func TestFailedAuthenticationLimit(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{FailedAuthPerMinute: 2, Clock: newClock().Now})
	c.header.Set("Authtoken", "wrong")
	require.Equal(t, 401, c.get("/requests/1").status)
	require.Equal(t, 401, c.get("/requests/1").status)
	require.Equal(t, 429, c.get("/requests/1").status)
}

func TestSetAPIKeyReplacesTheOldOne(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	c.ticket(servicedesk.Ticket{})
	c.desk.SetAPIKey("key-2")
	require.Equal(t, 401, c.get("/requests/1").status)
	c.header.Set("Authtoken", "key-2")
	require.Equal(t, 200, c.get("/requests/1").status)
}
