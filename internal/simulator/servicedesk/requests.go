package servicedesk

import (
	"cmp"
	"context"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value gives the fields that can be searched and sorted on.
func (t Ticket) value(field string) (any, bool) {
	switch field {
	case "", "id", "display_id":
		return t.ID, true
	case "subject":
		return t.Subject, true
	case "status.name", "status":
		return t.Status, true
	case "priority.name", "priority":
		return t.Priority, true
	case "category.name", "category":
		return t.Category, true
	case "group.name", "group":
		return t.Group, true
	case "site.name", "site":
		return t.Site, true
	case "requester.name", "requester":
		return t.Requester.Name, true
	case "requester.email_id":
		return t.Requester.Email, true
	case "technician.name", "technician":
		return t.Technician.Name, true
	case "account.id", "account":
		return t.AccountID, true
	case "created_time":
		return t.Created, true
	case "last_updated_time":
		return t.Updated, true
	case "completed_time", "resolved_time":
		return t.Closed, true
	}
	return nil, false
}

// requestSchema lists what a request may be created or changed with.
func (d *Desk) requestSchema(creating bool) schema {
	email := schema{"email_id": {kind: text}}
	s := schema{
		"subject": {kind: text, required: creating, max: 250}, "description": {kind: text},
		"impact_details": {kind: text, max: 250},
		"status":         {kind: lookup}, "priority": {kind: lookup}, "urgency": {kind: lookup}, "impact": {kind: lookup},
		"level": {kind: lookup}, "mode": {kind: lookup}, "category": {kind: lookup}, "subcategory": {kind: lookup},
		"item": {kind: lookup}, "request_type": {kind: lookup}, "group": {kind: lookup}, "site": {kind: lookup},
		"template": {kind: lookup}, "requester": {kind: lookup, fields: email}, "technician": {kind: lookup, fields: email},
		"resolution": {kind: object, fields: schema{"content": {kind: text, required: true}, "add_to_linked_requests": {kind: boolean}}},
		"udf_fields": {kind: anything}, "assets": {kind: list}, "tags": {kind: list}, "due_by_time": {kind: date},
	}
	if d.opts.Edition.msp() {
		s["account"] = field{kind: lookup, required: creating}
		s["requester"] = field{kind: lookup, required: creating, fields: email}
	}
	return s
}

// visible finds the ticket of the call as far as the technician may see it.
func (d *Desk) visible(c *call) (Ticket, *reply) {
	t, ok := d.data.ticket(c.ticketID)
	if !ok {
		return Ticket{}, failure(noSuchURL)
	}
	if d.opts.Edition.msp() && !c.tech.sees(t.AccountID) {
		return Ticket{}, failure(notAllowed)
	}
	return t, nil
}

// listRequests leaves description and resolution out of the rows, so that clients have
// to fetch the ticket they want.
func (d *Desk) listRequests(c *call) *reply {
	q, p := c.listQuery()
	if p != nil {
		return failure(*p)
	}
	tickets := slices.DeleteFunc(d.data.all(), func(t Ticket) bool {
		return d.opts.Edition.msp() && !c.tech.sees(t.AccountID)
	})
	if lag := c.lag(); lag > 0 {
		horizon := d.clock().Add(-lag)
		tickets = slices.DeleteFunc(tickets, func(t Ticket) bool { return t.Updated.After(horizon) })
	}
	tickets, info, p := listPage(q, tickets)
	if p != nil {
		return failure(*p)
	}
	var rows []map[string]any
	for _, t := range tickets {
		m := d.requestJSON(t)
		for _, heavy := range []string{"description", "resolution"} {
			if !q.wants(heavy) {
				delete(m, heavy)
			}
		}
		m["short_description"] = cut(plain(t.Description), 200)
		rows = append(rows, m)
	}
	return d.listing("requests", rows, info)
}

func (d *Desk) getRequest(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	if p := c.noInput(); p != nil {
		return failure(*p)
	}
	return entity("request", d.requestJSON(t))
}

// noInput accepts the empty input_data some clients send with a plain GET.
func (c *call) noInput() *problem {
	v, p := c.inputData()
	if p != nil {
		return p
	}
	return schema{}.check("", v)
}

// createRequest files a ticket over the API; its webhooks are sent after the answer.
func (d *Desk) createRequest(c *call) *reply {
	v, p := c.input("request", d.requestSchema(true))
	if p != nil {
		return failure(*p)
	}
	t := Ticket{}
	apply(&t, v)
	if d.opts.Edition.msp() {
		if p := d.chooseAccount(&t, c, v["account"]); p != nil {
			return failure(*p)
		}
	}
	t, err := d.AddTicket(t)
	if err != nil {
		return serverError(0)
	}
	d.fireAsync(TicketCreated, t)
	return entity("request", d.requestJSON(t))
}

// chooseAccount takes an account by id or name, among those the key sees.
func (d *Desk) chooseAccount(t *Ticket, c *call, v any) *problem {
	wanted := nameOf(v)
	for _, a := range d.opts.Accounts {
		if (a.ID == wanted || a.Name == wanted) && c.tech.sees(a.ID) {
			t.AccountID = a.ID
			return nil
		}
	}
	return invalid("request.account", "Id or name does not exist")
}

// updateRequest fires the event that fits: resolved and closed once, else updated.
func (d *Desk) updateRequest(c *call) *reply {
	old, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	v, p := c.input("request", d.requestSchema(false))
	if p != nil {
		return failure(*p)
	}
	t, _, err := d.updateTicket(c.ticketID, func(t *Ticket) {
		apply(t, v)
		if t.Status != old.Status && (t.Status == "Resolved" || t.Status == "Closed") {
			t.Closed = d.clock()
		}
	})
	if err != nil {
		return serverError(0)
	}
	switch {
	case t.Status != old.Status && t.Status == "Resolved":
		d.fireAsync(TicketResolved, t)
	case t.Status != old.Status && t.Status == "Closed":
		d.fireAsync(TicketClosed, t)
	default:
		d.fireAsync(TicketUpdated, t)
	}
	return entity("request", d.requestJSON(t))
}

// apply copies what the stand-in keeps; the rest of the schema is checked and dropped.
func apply(t *Ticket, v map[string]any) {
	set := func(into *string, value string) { *into = cmp.Or(value, *into) }
	set(&t.Subject, str(v["subject"]))
	set(&t.Description, sanitize(str(v["description"])))
	set(&t.Status, nameOf(v["status"]))
	set(&t.Priority, nameOf(v["priority"]))
	set(&t.Category, nameOf(v["category"]))
	set(&t.Group, nameOf(v["group"]))
	set(&t.Site, nameOf(v["site"]))
	for key, person := range map[string]*Person{"requester": &t.Requester, "technician": &t.Technician} {
		m, _ := v[key].(map[string]any)
		set(&person.Name, nameOf(m))
		set(&person.Email, str(m["email_id"]))
	}
	if m, ok := v["resolution"].(map[string]any); ok {
		set(&t.Resolution, sanitize(str(m["content"])))
	}
}

func (d *Desk) closeRequest(c *call) *reply {
	if _, refused := d.visible(c); refused != nil {
		return refused
	}
	_, p := c.input("request", schema{
		"closure_info": {kind: object, required: true, fields: schema{
			"requester_ack_resolution": {kind: boolean}, "requester_ack_comments": {kind: text},
			"closure_comments": {kind: text}, "closure_code": {kind: lookup},
		}},
		"is_fcr": {kind: boolean},
	})
	if p != nil {
		return failure(*p)
	}
	t, _, err := d.updateTicket(c.ticketID, func(t *Ticket) { t.Status, t.Closed = "Closed", d.clock() })
	if err != nil {
		return serverError(0)
	}
	d.fireAsync(TicketClosed, t)
	return jsonReply(200, map[string]any{"response_status": succeeded})
}

func (d *Desk) getResolution(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	return entity("resolution", resolutionJSON(t))
}

func (d *Desk) addResolution(c *call) *reply {
	if _, refused := d.visible(c); refused != nil {
		return refused
	}
	v, p := c.input("resolution", schema{
		"content": {kind: text, required: true}, "add_to_linked_requests": {kind: boolean},
	})
	if p != nil {
		return failure(*p)
	}
	t, _, err := d.updateTicket(c.ticketID, func(t *Ticket) { t.Resolution = sanitize(str(v["content"])) })
	if err != nil {
		return serverError(0)
	}
	return entity("resolution", resolutionJSON(t))
}

// fireAsync sends webhooks after an API call, which does not wait for them.
func (d *Desk) fireAsync(event string, t Ticket) {
	if len(d.hooks.listening(event, t.AccountID)) == 0 {
		return
	}
	d.background(func() { d.fire(context.Background(), event, t) })
}

// requestJSON is the single-request view; empty lookups are null as on the desk.
func (d *Desk) requestJSON(t Ticket) map[string]any {
	vip := "is_vipuser"
	if d.opts.Edition.cloud() {
		vip = "is_vip_user"
	}
	requester := map[string]any{
		"id": "1" + t.ID, "name": t.Requester.Name, "email_id": t.Requester.Email,
		"phone": nil, "department": nil, vip: false,
	}
	m := map[string]any{
		"id": t.ID, "subject": t.Subject, "description": t.Description, "status": named(t.Status),
		"priority": named(t.Priority), "urgency": nil, "impact": nil, "impact_details": nil, "level": nil, "mode": nil,
		"category": named(t.Category), "subcategory": nil, "item": nil, "request_type": nil,
		"requester": requester, "technician": person(t.Technician), "group": named(t.Group), "site": named(t.Site),
		"assets": []any{}, "template": map[string]any{"id": "1", "name": "Default Request", "is_service_template": false},
		"created_time": dateJSON(t.Created), "last_updated_time": dateJSON(t.Updated), "due_by_time": nil,
		"is_overdue": false, "has_notes": d.data.noteCount(t.ID) > 0, "has_attachments": false, "is_service_request": false,
		"is_trashed": false, "is_reopened": false, "resolution": resolutionJSON(t), "udf_fields": map[string]any{},
		"tags": tagsJSON(t.Tags), "completed_time": dateJSON(t.Closed),
	}
	if d.opts.Edition.cloud() {
		m["display_id"] = strconv.FormatInt(shortID(t.ID), 10)
	}
	if d.opts.Edition.msp() {
		a := d.data.account(t.AccountID)
		m["account"] = map[string]any{"id": a.ID, "name": a.Name}
		requester["account"] = m["account"]
	}
	return m
}

// noteCount spares requestJSON a copy of the notes.
func (s *store) noteCount(ticket string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.tickets[ticket]; t != nil {
		return len(t.notes)
	}
	return 0
}

// shortID is the number people see on Cloud.
func shortID(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64)
	return n % 100000000000000000
}

// named is a lookup; its id is derived from the name, so that it stays the same.
func named(name string) any {
	if name == "" {
		return nil
	}
	id := 0
	for _, r := range name {
		id = (id*31 + int(r)) % 9000
	}
	return map[string]any{"id": strconv.Itoa(id + 1), "name": name}
}

// person is a user lookup, null for nobody.
func person(p Person) any {
	if p.Name == "" {
		return nil
	}
	m := named(p.Name).(map[string]any)
	m["email_id"] = p.Email
	return m
}

func tagsJSON(tags []string) []any {
	out := []any{}
	for _, t := range tags {
		out = append(out, named(t))
	}
	return out
}

// resolutionJSON has content null until there is one.
func resolutionJSON(t Ticket) any {
	if t.Resolution == "" {
		return map[string]any{"content": nil}
	}
	return map[string]any{"content": t.Resolution, "submitted_on": dateJSON(cmp.Or(t.Closed, t.Updated))}
}

// dateJSON is the desk's date: milliseconds as text beside a text for people.
func dateJSON(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return map[string]any{
		"value":         strconv.FormatInt(t.UnixMilli(), 10),
		"display_value": t.UTC().Format("Jan 2, 2006 03:04 PM"),
	}
}

var tagPattern = regexp.MustCompile(`<[^>]*>`)

// plain is the text of some HTML on one line, for lists.
func plain(s string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tagPattern.ReplaceAllString(s, " "))), " ")
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
