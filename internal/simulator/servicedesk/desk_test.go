package servicedesk_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func TestRequestShape(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now})
	id := c.ticket(servicedesk.Ticket{
		Subject: "VPN down", Description: "<p>No tunnel</p>", Priority: "High",
		Requester: servicedesk.Person{Name: "Ada", Email: "ada@example.com"},
	})
	require.Equal(t, "1", id)
	g := c.get("/requests/" + id)
	status, isObject := g.json["response_status"].(map[string]any)
	require.True(t, isObject, "single entities have an object")
	require.InDelta(t, 2000, status["status_code"], 0)
	r := g.json["request"].(map[string]any)
	require.Equal(t, "VPN down", r["subject"])
	require.Equal(t, "High", r["priority"].(map[string]any)["name"])
	require.Nil(t, r["category"], "empty lookups are null")
	require.Equal(t, strconv.FormatInt(now.Now().UnixMilli(), 10), r["created_time"].(map[string]any)["value"])
	require.NotContains(t, r, "account")
	require.Contains(t, r["requester"], "is_vipuser")
}

func TestListShapeAndPaging(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now})
	for i := range 25 {
		c.ticket(servicedesk.Ticket{Subject: fmt.Sprintf("Ticket %02d", i), Description: "<p>long &amp; detailed</p>"})
		now.Add(time.Minute)
	}
	g := c.list("/requests", `{"list_info":{"row_count":10,"start_index":21,"sort_field":"created_time","sort_order":"asc","get_total_count":true}}`)
	rows := g.rows(t, "requests")
	require.Len(t, rows, 5)
	require.Equal(t, "Ticket 20", rows[0]["subject"])
	require.NotContains(t, rows[0], "description", "list rows carry fewer fields")
	require.Equal(t, "long & detailed", rows[0]["short_description"])
	require.IsType(t, []any{}, g.json["response_status"], "lists have an array")
	info := g.json["list_info"].(map[string]any)
	require.Equal(t, false, info["has_more_rows"])
	require.InDelta(t, 25, info["total_count"], 0)

	g = c.list("/requests", `{"list_info":{"row_count":20,"page":1},"fields_required":["description"]}`)
	require.Contains(t, g.rows(t, "requests")[0], "description")
	require.Equal(t, true, g.json["list_info"].(map[string]any)["has_more_rows"])
	require.NotContains(t, g.json["list_info"], "total_count")
}

func TestSearchCriteria(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now})
	base := now.Now()
	for i, status := range []string{"Open", "Closed", "Open", "Resolved"} {
		c.ticket(servicedesk.Ticket{Subject: fmt.Sprintf("Disk %d", i), Status: status})
		now.Add(time.Hour)
	}
	at := func(h int) string { return strconv.FormatInt(base.Add(time.Duration(h)*time.Hour).UnixMilli(), 10) }
	for _, tc := range []struct{ name, info, want string }{
		{"status", `{"search_criteria":{"field":"status.name","condition":"is","value":"open"}}`, "1 3"},
		{"any of values", `{"search_criteria":{"field":"status.name","condition":"is","values":["Closed","Resolved"]}}`, "2 4"},
		{"negated", `{"search_criteria":{"field":"status.name","condition":"is not","value":"Open"}}`, "2 4"},
		{"newer", `{"search_criteria":[{"field":"created_time","condition":"greater than","value":"` + at(1) + `"}]}`, "3 4"},
		{"since", `{"search_criteria":[{"field":"last_updated_time","condition":"gte","values":["` + at(1) + `"]}]}`, "2 3 4"},
		{"older", `{"search_criteria":[{"field":"created_time","condition":"lesser than","value":` + at(1) + `}]}`, "1"},
		{"between", `{"search_criteria":[{"field":"created_time","condition":"between","values":["` + at(1) + `","` + at(2) + `"]}]}`, "2 3"},
		{"and", `{"search_criteria":[{"field":"status.name","condition":"is","value":"Open"},{"field":"id","condition":"gt","value":"1","logical_operator":"AND"}]}`, "3"},
		{"or", `{"search_criteria":[{"field":"id","condition":"is","value":"1"},{"field":"id","condition":"is","value":"4","logical_operator":"OR"}]}`, "1 4"},
		{"children", `{"search_criteria":{"field":"status.name","condition":"is","value":"Open","children":[{"field":"subject","condition":"ends with","value":"2","logical_operator":"AND"}]}}`, "3"},
		{"contains", `{"search_criteria":{"field":"subject","condition":"contains","value":"DISK 3"}}`, "4"},
		{"nulls", `{"search_criteria":{"field":"priority.name","condition":"is","values":[]}}`, "1 2 3 4"},
		{"search_fields", `{"search_fields":{"status.name":"Closed"}}`, "2"},
		{"sorted down", `{"sort_field":"created_time","sort_order":"desc"}`, "4 3 2 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ids []string
			for _, r := range c.list("/requests", `{"list_info":`+tc.info+`}`).rows(t, "requests") {
				ids = append(ids, r["id"].(string))
			}
			require.Equal(t, tc.want, strings.Join(ids, " "))
		})
	}
}

func TestNoteLifeCycle(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now, Author: "AI agents"})
	id := c.ticket(servicedesk.Ticket{})
	n := c.note(id, "<p>first</p>").json["note"].(map[string]any)
	require.Equal(t, "<p>first</p>", n["description"])
	require.Equal(t, id, n["request"].(map[string]any)["id"])
	require.Equal(t, "AI agents", n["added_by"].(map[string]any)["name"])
	require.Nil(t, n["last_updated_time"])
	c.note(id, "<p>first</p>")
	require.Len(t, c.desk.Notes(id), 2, "nothing deduplicates")

	path := "/requests/" + id + "/notes/" + n["id"].(string)
	now.Add(time.Minute)
	g := c.send("PUT", path, `{"note":{"show_to_requester":true}}`)
	require.Equal(t, 200, g.status, g.text)
	require.Equal(t, "<p>first</p>", c.get(path).json["note"].(map[string]any)["description"])
	require.True(t, c.desk.Notes(id)[0].ShowToRequester)
	require.NotNil(t, c.get(path).json["note"].(map[string]any)["last_updated_time"])

	require.Equal(t, 200, c.do("DELETE", c.prefix+path, "", "").status)
	require.Equal(t, 404, c.get(path).status)
	require.Equal(t, 404, c.do("DELETE", c.prefix+path, "", "").status)
	require.Len(t, c.desk.Notes(id), 1)
}

func TestNotesArePaged(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	for i := range 23 {
		_, err := c.desk.AddNote(servicedesk.Note{TicketID: id, Description: fmt.Sprintf("note %d", i)})
		require.NoError(t, err)
	}
	require.Len(t, c.get("/requests/"+id+"/notes").rows(t, "notes"), 10, "ten rows unless asked for more")
	var seen []string
	for at := 1; ; at += 20 {
		g := c.list("/requests/"+id+"/notes", fmt.Sprintf(`{"list_info":{"row_count":20,"start_index":%d}}`, at))
		for _, r := range g.rows(t, "notes") {
			seen = append(seen, r["description"].(string))
		}
		if g.json["list_info"].(map[string]any)["has_more_rows"] == false {
			break
		}
	}
	require.Len(t, seen, 23)
	require.Equal(t, "note 22", seen[22])
}

func TestFirstResponseOnlyOnce(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	body := `{"note":{"description":"x","mark_first_response":true}}`
	require.Equal(t, 200, c.send("POST", "/requests/"+id+"/notes", body).status)
	g := c.send("POST", "/requests/"+id+"/notes", body)
	require.Equal(t, 400, g.status)
	require.Len(t, c.desk.Notes(id), 1)
}

func TestNoteHTMLIsSanitised(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	for _, tc := range []struct{ in, want string }{
		{`<p>a<!-- Ref AIA-1 -->b</p>`, `<p>ab</p>`},
		{`a<script>Ref AIA-1</script>b<style>Ref</style>`, `ab`},
		{`<p>x<span hidden>Ref AIA-1</span></p>`, `<p>x</p>`},
		{`<p>x<span style="DISPLAY: none">Ref AIA-1</span></p>`, `<p>x</p>`},
		{`<p>x<span style="font-size:0">Ref</span></p>`, `<p>x</p>`},
		{`<input type="hidden" value="Ref AIA-1">x`, `x`},
		{`<p id="ref-1" class="c" data-ref="AIA-1" onclick="x()">x</p>`, `<p>x</p>`},
		{`<a href="javascript:alert(1)">x</a><img src="https://e.example/p.gif">`, `x`},
		{`<table><tr><td colspan="2"><b>x</b></td></tr></table>`, `<table><tr><td colspan="2"><b>x</b></td></tr></table>`},
		{`<p>Ref AIA-7F3K</p>`, `<p>Ref AIA-7F3K</p>`},
	} {
		g := c.note(id, tc.in)
		require.Equal(t, tc.want, g.json["note"].(map[string]any)["description"], tc.in)
		notes := c.desk.Notes(id)
		require.Equal(t, tc.want, notes[len(notes)-1].Description)
	}
}

func TestOlderBuild(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{OlderBuild: true})
	id := c.ticket(servicedesk.Ticket{})
	g := c.note(id, "x")
	require.Equal(t, 400, g.status)
	_, field, message := g.message(t)
	require.Equal(t, "note", field)
	require.Equal(t, "EXTRA_KEY_FOUND_IN_JSON", message)

	g = c.send("POST", "/requests/"+id+"/notes", `{"request_note":{"description":"x"}}`)
	require.Contains(t, g.json["request_note"], "created_time")
	g = c.get("/requests/" + id + "/notes")
	require.Len(t, g.rows(t, "request_notes"), 1)
	require.IsType(t, map[string]any{}, g.json["response_status"])
}

func TestNotesWithoutBody(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{NotesWithoutBody: true})
	id := c.ticket(servicedesk.Ticket{})
	n := c.note(id, "x").json["note"].(map[string]any)
	require.NotContains(t, c.get("/requests/"+id+"/notes").rows(t, "notes")[0], "description")
	require.Contains(t, c.get("/requests/" + id + "/notes/" + n["id"].(string)).json["note"], "description")
}

func TestCreateUpdateResolveClose(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	g := c.send("POST", "/requests", `{"request":{"subject":"Disk full","description":"<p>C:</p><script>x</script>","priority":{"name":"High"},"requester":{"name":"Ada","email_id":"ada@example.com"}}}`)
	require.Equal(t, 200, g.status, g.text)
	r := g.json["request"].(map[string]any)
	require.Equal(t, "<p>C:</p>", r["description"])
	id := r["id"].(string)

	require.Equal(t, 200, c.send("POST", "/requests/"+id+"/resolutions", `{"resolution":{"content":"<p>Purged logs</p>"}}`).status)
	require.Equal(t, "<p>Purged logs</p>", c.get("/requests/" + id + "/resolutions").json["resolution"].(map[string]any)["content"])
	require.Equal(t, 200, c.send("PUT", "/requests/"+id, `{"request":{"status":{"name":"Resolved"}}}`).status)
	tk, _ := c.desk.Ticket(id)
	require.Equal(t, "Resolved", tk.Status)
	require.Equal(t, "ada@example.com", tk.Requester.Email)
	require.False(t, tk.Closed.IsZero())
	require.Equal(t, 200, c.send("PUT", "/requests/"+id+"/close", `{"request":{"closure_info":{"closure_comments":"done","requester_ack_resolution":true},"is_fcr":false}}`).status)
	tk, _ = c.desk.Ticket(id)
	require.Equal(t, "Closed", tk.Status)
}

func TestSolutions(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := start(t, servicedesk.Options{Clock: now.Now})
	c.desk.AddSolution(servicedesk.Solution{Title: "VPN drops", Description: "<p>Update the client</p>", Topic: "Network", Keywords: "vpn"})
	c.desk.AddSolution(servicedesk.Solution{Title: "Old VPN", Expires: now.Now().Add(-time.Hour)})
	c.desk.AddSolution(servicedesk.Solution{Title: "Draft", Status: "UnApproved"})
	titles := func(filter string) string {
		var out []string
		for _, r := range c.list("/solutions", `{"list_info":{"filter_by":{"name":"`+filter+`"}}}`).rows(t, "solutions") {
			require.NotContains(t, r, "description")
			out = append(out, r["title"].(string))
		}
		return strings.Join(out, ",")
	}
	require.Equal(t, "VPN drops", titles("ApprovedSolutions"))
	require.Equal(t, "Old VPN", titles("ExpiredSolutions"))
	require.Equal(t, "Draft", titles("UnApprovedSolutions"))
	require.Equal(t, "VPN drops,Old VPN,Draft", titles("AllSolutions"))
	g := c.list("/solutions", `{"list_info":{"filter_by":{"name":"Mine"}}}`)
	require.Equal(t, 400, g.status)
	s := c.get("/solutions/1").json["solution"].(map[string]any)
	require.Equal(t, "<p>Update the client</p>", s["description"])
	require.Equal(t, "Approved", s["approval_status"].(map[string]any)["name"])
	require.Equal(t, 404, c.get("/solutions/9").status)
}

func TestAssetsByBuild(t *testing.T) {
	t.Parallel()
	older, newer := start(t, servicedesk.Options{}), start(t, servicedesk.Options{NewAssets: true})
	for _, c := range []*client{older, newer} {
		c.desk.AddAsset(servicedesk.Asset{Name: "fs-01", IP: "10.0.0.5"})
		c.desk.AddAsset(servicedesk.Asset{Name: "fs-02", IP: "10.0.0.6"})
	}
	byIP := `{"list_info":{"search_criteria":{"field":"primary_ip","condition":"is","value":"10.0.0.6"}}}`
	byName := `{"list_info":{"search_criteria":{"field":"name","condition":"is","value":"fs-01"}}}`
	require.Equal(t, "fs-02", newer.list("/asset_assets", byIP).rows(t, "asset_assets")[0]["name"])
	require.Equal(t, 404, newer.get("/assets").status)
	require.Equal(t, 404, older.get("/asset_assets").status)
	require.Equal(t, 400, older.list("/assets", byIP).status)
	row := older.list("/workstations", byName).rows(t, "workstations")[0]
	require.NotContains(t, row, "primary_ip")
}

func TestMSPAccounts(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{
		Edition: servicedesk.MSPOnPrem, Accounts: []servicedesk.Account{{ID: "10", Name: "Acme"}, {ID: "20", Name: "Globex"}},
		Technicians: []servicedesk.Technician{{Key: "globex-only", Name: "G", Accounts: []string{"20"}}},
	})
	a := c.ticket(servicedesk.Ticket{AccountID: "10"})
	b := c.ticket(servicedesk.Ticket{AccountID: "20"})
	require.Len(t, c.get("/requests").rows(t, "requests"), 2, "one key sees every account")
	r := c.get("/requests/" + b).json["request"].(map[string]any)
	require.Equal(t, map[string]any{"id": "20", "name": "Globex"}, r["account"])

	g := c.send("POST", "/requests", `{"request":{"subject":"x","requester":{"name":"Ada"}}}`)
	require.Equal(t, 400, g.status)
	_, field, _ := g.message(t)
	require.Equal(t, "request.account", field)
	g = c.send("POST", "/requests", `{"request":{"subject":"x","requester":{"name":"Ada"},"account":{"id":"30"}}}`)
	require.Equal(t, 400, g.status)
	g = c.send("POST", "/requests", `{"request":{"subject":"x","requester":{"name":"Ada"},"account":{"name":"Acme"}}}`)
	require.Equal(t, 200, g.status, g.text)

	c.header.Set("Authtoken", "globex-only")
	require.Len(t, c.get("/requests").rows(t, "requests"), 1)
	require.Equal(t, 403, c.get("/requests/"+a).status)
	require.Equal(t, 200, c.get("/requests/"+b).status)

	g = c.do("GET", "/sdpapi/admin/account?format=json&TECHNICIAN_KEY=key-1", "", "")
	require.Len(t, g.json["operation"].(map[string]any)["details"], 2)
	require.Equal(t, 401, c.do("GET", "/sdpapi/admin/account?format=json&TECHNICIAN_KEY=no", "", "").status)
	_, err := c.desk.AddTicket(servicedesk.Ticket{AccountID: "30"})
	require.Error(t, err)
}

func TestGeneric(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{Edition: servicedesk.Generic})
	id := c.ticket(servicedesk.Ticket{ID: "INC-7"})
	path := "/api/tickets/" + id + "/notes"
	require.Equal(t, 401, c.do("GET", path, "", "").status, "authtoken does not open a generic desk")
	c.header.Set("Authorization", "Bearer key-1")
	g := c.do("POST", path, "application/json", `{"content":"<p>x</p><!-- m -->"}`)
	require.Equal(t, 201, g.status, g.text)
	require.Equal(t, "<p>x</p>", g.json["content"])
	require.Len(t, c.do("GET", path, "", "").json["notes"], 1)
	for name, tc := range map[string]struct {
		path, contentType, body string
		status                  int
	}{
		"unknown field":  {path, "application/json", `{"content":"x","private":true}`, 400},
		"empty content":  {path, "application/json", `{"content":" "}`, 400},
		"not JSON":       {path, "application/json", `content=x`, 400},
		"form":           {path, formType, `content=x`, 415},
		"unknown ticket": {"/api/tickets/INC-8/notes", "application/json", `{"content":"x"}`, 404},
		"unknown path":   {"/api/tickets", "application/json", `{"content":"x"}`, 404},
	} {
		require.Equal(t, tc.status, c.do("POST", tc.path, tc.contentType, tc.body).status, name)
	}
	require.Len(t, c.desk.Notes(id), 1)
	c.header.Set("Authorization", "Bearer wrong")
	require.Equal(t, 401, c.do("GET", path, "", "").status)
}

func TestLedgerKeepsHeaders(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{})
	c.header.Set("Idempotency-Key", "k")
	c.note(id, "x")
	c.get("/nowhere")
	all := c.desk.Requests()
	require.Len(t, all, 2)
	require.Equal(t, servicedesk.NotesAdd, all[0].Operation)
	require.Equal(t, id, all[0].TicketID)
	require.Equal(t, "k", all[0].Header.Get("Idempotency-Key"))
	require.Equal(t, 200, all[0].Status)
	require.Contains(t, all[0].Body, "input_data=")
	require.Equal(t, servicedesk.Unknown, all[1].Operation)
	require.Equal(t, 404, all[1].Status)
	require.Equal(t, 1, c.desk.Count(servicedesk.NotesAdd))
	require.Equal(t, 2, c.desk.Count(""))
}

func TestCountersOnly(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{CountersOnly: true})
	id := c.ticket(servicedesk.Ticket{})
	c.note(id, "x")
	require.Empty(t, c.desk.Requests())
	require.Equal(t, 1, c.desk.Count(servicedesk.NotesAdd))
	require.Len(t, c.desk.Notes(id), 1, "notes are kept all the same")
}
