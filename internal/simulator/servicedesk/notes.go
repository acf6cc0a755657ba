package servicedesk

import (
	"slices"
	"strconv"
)

// noteSchema is the same under both envelopes.
var noteSchema = schema{
	"description": {kind: text, required: true}, "show_to_requester": {kind: boolean},
	"notify_technician": {kind: boolean}, "mark_first_response": {kind: boolean},
	"add_to_linked_requests": {kind: boolean},
}

// value gives the fields that can be searched and sorted on.
func (n Note) value(field string) (any, bool) {
	switch field {
	case "", "id":
		return n.ID, true
	case "added_time", "created_time":
		return n.Added, true
	case "last_updated_time":
		return n.Updated, true
	case "description":
		return n.Description, true
	case "added_by.name", "created_by.name":
		return n.Author, true
	case "show_to_requester":
		return strconv.FormatBool(n.ShowToRequester), true
	}
	return nil, false
}

// addNote stores what is left after sanitising, and fires the edited trigger as any
// change of a ticket does.
func (d *Desk) addNote(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	v, p := c.input(d.opts.NoteKey, noteSchema)
	if p != nil {
		return failure(*p)
	}
	if flag(v["mark_first_response"]) && t.Responded {
		return failure(*invalid(d.opts.NoteKey+".mark_first_response", "The request has a response already"))
	}
	n, err := d.applyNote(Note{
		TicketID: t.ID, Author: c.tech.Name, Description: c.stripMarkers(sanitize(str(v["description"]))),
		ShowToRequester: flag(v["show_to_requester"]), NotifyTechnician: flag(v["notify_technician"]),
		MarkFirstResponse: flag(v["mark_first_response"]), AddToLinkedRequest: flag(v["add_to_linked_requests"]),
	})
	if err != nil {
		return serverError(0)
	}
	d.fireAsync(TicketUpdated, t)
	return entity(d.opts.NoteKey, d.noteJSON(t, n))
}

// listed are the notes the API shows: a list lag hides the young ones.
func (d *Desk) listed(c *call) []Note {
	notes := d.data.notes(c.ticketID)
	if lag := c.lag(); lag > 0 {
		horizon := d.clock().Add(-lag)
		notes = slices.DeleteFunc(notes, func(n Note) bool { return n.Added.After(horizon) })
	}
	return notes
}

// listNotes pages ten at a time unless asked otherwise; oldest first.
func (d *Desk) listNotes(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	q, p := c.listQuery()
	if p != nil {
		return failure(*p)
	}
	notes, info, p := listPage(q, d.listed(c))
	if p != nil {
		return failure(*p)
	}
	var rows []map[string]any
	for _, n := range notes {
		m := d.noteJSON(t, n)
		if d.opts.NotesWithoutBody && !q.wants("description") {
			delete(m, "description")
		}
		rows = append(rows, m)
	}
	key := "notes"
	if d.opts.OlderBuild {
		key = "request_notes"
	}
	return d.listing(key, rows, info)
}

func (d *Desk) getNote(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	for _, n := range d.data.notes(t.ID) {
		if n.ID == c.subID {
			return entity(d.opts.NoteKey, d.noteJSON(t, n))
		}
	}
	return failure(noSuchURL)
}

// updateNote changes only the fields sent.
func (d *Desk) updateNote(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	s := schema{}
	for k, f := range noteSchema {
		f.required = false
		s[k] = f
	}
	v, p := c.input(d.opts.NoteKey, s)
	if p != nil {
		return failure(*p)
	}
	n, ok := d.data.editNote(t.ID, c.subID, d.clock(), func(n *Note) {
		if text, sent := v["description"]; sent {
			n.Description = c.stripMarkers(sanitize(str(text)))
		}
		for key, into := range map[string]*bool{
			"show_to_requester": &n.ShowToRequester, "notify_technician": &n.NotifyTechnician,
			"mark_first_response": &n.MarkFirstResponse, "add_to_linked_requests": &n.AddToLinkedRequest,
		} {
			if given, sent := v[key]; sent {
				*into = flag(given)
			}
		}
	})
	if !ok {
		return failure(noSuchURL)
	}
	if err := d.journal.write(Entry{Kind: "note", Note: &n, Time: n.Updated}); err != nil {
		return serverError(0)
	}
	return entity(d.opts.NoteKey, d.noteJSON(t, n))
}

func (d *Desk) deleteNote(c *call) *reply {
	t, refused := d.visible(c)
	if refused != nil {
		return refused
	}
	n, ok := d.data.editNote(t.ID, c.subID, d.clock(), nil)
	if !ok {
		return failure(noSuchURL)
	}
	if err := d.journal.write(Entry{Kind: "note_deleted", Note: &n, Time: d.clock()}); err != nil {
		return serverError(0)
	}
	return jsonReply(200, map[string]any{"response_status": succeeded})
}

// noteJSON names times and people as the build does.
func (d *Desk) noteJSON(t Ticket, n Note) map[string]any {
	author := person(Person{Name: n.Author})
	m := map[string]any{
		"id": n.ID, "request": map[string]any{"id": t.ID, "subject": t.Subject}, "description": n.Description,
		"show_to_requester": n.ShowToRequester, "has_attachments": false, "attachments": []any{},
	}
	if d.opts.OlderBuild {
		m["created_time"], m["created_by"] = dateJSON(n.Added), author
		return m
	}
	m["added_time"], m["added_by"] = dateJSON(n.Added), author
	m["last_updated_time"], m["last_updated_by"] = nil, nil
	if n.Updated.After(n.Added) {
		m["last_updated_time"], m["last_updated_by"] = dateJSON(n.Updated), author
	}
	return m
}
