package notifier

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	acceptV3 = "application/vnd.manageengine.sdp.v3+json"
	formType = "application/x-www-form-urlencoded"
	pageSize = 100
	maxPages = 200 // 20,000 notes on one ticket is not a ticket but a loop
)

// sdp speaks the ServiceDesk Plus v3 API, all four editions.
type sdp struct{ link *link }

// dress implements protocol.
func (d *sdp) dress(req *http.Request, credential string) {
	req.Header.Set("Accept", acceptV3)
	if d.link.cloud() {
		req.Header.Set("Authorization", "Zoho-oauthtoken "+credential)
		return
	}
	req.Header.Set("authtoken", credential)
}

// url escapes each part, so that an id cannot become a path.
func (d *sdp) url(path ...string) string {
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	return d.link.root("/api/v3/") + strings.Join(path, "/")
}

// get reads an entity or, with info, a page of a list.
func (d *sdp) get(ctx context.Context, operation string, info map[string]any, path ...string) (*envelope, error) {
	c := call{operation: operation, method: http.MethodGet, url: d.url(path...)}
	if info != nil {
		input, err := json.Marshal(map[string]any{"list_info": info})
		if err != nil {
			return nil, fmt.Errorf("encode list_info: %w", err)
		}
		c.url += "?" + url.Values{"input_data": {string(input)}}.Encode()
	}
	c.list = operation == "list_requests" || operation == "list_solutions" || operation == "list_assets"
	return d.do(ctx, c)
}

func (d *sdp) do(ctx context.Context, c call) (*envelope, error) {
	body, err := d.link.do(ctx, c)
	if err != nil {
		return nil, err
	}
	var e envelope
	if len(body) == 0 { // 204
		return &e, nil
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, &callError{class: lost, cause: fmt.Errorf("decode answer of %s: %w", c.operation, err)}
	}
	return &e, nil
}

// ticket implements reader.
func (d *sdp) ticket(ctx context.Context, ticketID string) (Ticket, error) {
	e, err := d.get(ctx, "get_request", nil, "requests", ticketID)
	if err != nil {
		return Ticket{}, err
	}
	if e.Request == nil {
		return Ticket{}, &callError{class: lost, cause: errNoEntity}
	}
	return e.Request.ticket(), nil
}

// probe implements reader: the shortest list shows that place, credentials and the right to read are good.
func (d *sdp) probe(ctx context.Context) error {
	_, err := d.get(ctx, "probe", map[string]any{"row_count": 1, "start_index": 1}, "requests")
	return err
}

// notes implements reader.
func (d *sdp) notes(ctx context.Context, ticketID string, since time.Time) ([]Note, error) {
	var all []Note
	for start, pages := 1, 0; start > 0; pages++ {
		if pages == maxPages {
			return nil, &callError{class: lost, cause: fmt.Errorf("the list of notes does not end after %d pages", maxPages)}
		}
		e, err := d.get(ctx, "list_notes", map[string]any{"row_count": pageSize, "start_index": start}, "requests", ticketID, "notes")
		if err != nil {
			return nil, err
		}
		rows := append(e.Notes, e.RequestNotes...)
		for _, row := range rows {
			n := row.note()
			if row.Description == nil && (n.AddedAt.IsZero() || !n.AddedAt.Before(since)) {
				if n, err = d.note(ctx, ticketID, n); err != nil {
					return nil, err
				}
			}
			all = append(all, n)
		}
		start = e.next(start, len(rows))
	}
	return all, nil
}

// note fetches the body that a list left out. A note that was deleted meanwhile stays without one.
func (d *sdp) note(ctx context.Context, ticketID string, n Note) (Note, error) {
	e, err := d.get(ctx, "get_note", nil, "requests", ticketID, "notes", n.ID)
	if classOf(err) == missing {
		return n, nil
	}
	if err != nil {
		return Note{}, err
	}
	if row := e.note(); row != nil {
		return row.note(), nil
	}
	return Note{}, &callError{class: lost, cause: errNoEntity}
}

// addNote implements writer. Its request goes out once; a second one, under the other envelope, follows only the desk's
// clear refusal of the first, within the same time limit.
func (d *sdp) addNote(ctx context.Context, ticketID, html string) (string, error) {
	e, err := d.write(ctx, call{operation: "add_note", method: http.MethodPost, url: d.url("requests", ticketID, "notes"), once: true}, html)
	if err != nil {
		return "", err
	}
	if n := e.note(); n != nil && n.ID != "" {
		return string(n.ID), nil
	}
	return "", &callError{class: lost, cause: errNoEntity} // it says success and not where: the search will tell
}

// updateNote implements writer.
func (d *sdp) updateNote(ctx context.Context, ticketID, noteID, html string) error {
	_, err := d.write(ctx, call{operation: "update_note", method: http.MethodPut, url: d.url("requests", ticketID, "notes", noteID)}, html)
	return err
}

// deleteNote implements writer.
func (d *sdp) deleteNote(ctx context.Context, ticketID, noteID string) error {
	_, err := d.do(ctx, call{operation: "delete_note", method: http.MethodDelete, url: d.url("requests", ticketID, "notes", noteID)})
	return err
}

// write sends a note under the envelope that this desk takes, and finds out which where that is not fixed.
func (d *sdp) write(ctx context.Context, c call, html string) (*envelope, error) {
	key, fixed := d.noteKey(ctx)
	e, err := d.writeAs(ctx, c, key, html)
	if fixed || classOf(err) != wrongKey {
		return e, err
	}
	other := "note"
	if key == "note" {
		other = "request_note"
	}
	e, err = d.writeAs(ctx, c, other, html)
	if err == nil {
		recording, cancel := afterwards(ctx)
		defer cancel()
		if serr := d.link.module.store.rememberNoteKey(recording, d.link.TenantID, other); serr != nil {
			d.link.module.deps.Logger.WarnContext(ctx, "note key not remembered", "tenant_id", d.link.TenantID, "error", serr)
		}
		d.link.state.forget()
	}
	return e, err
}

// writeAs sends all four flags as false: the note is private, tells nobody and counts as no response.
func (d *sdp) writeAs(ctx context.Context, c call, key, html string) (*envelope, error) {
	input, err := json.Marshal(map[string]any{key: map[string]any{
		"description": html, "show_to_requester": false, "notify_technician": false,
		"mark_first_response": false, "add_to_linked_requests": false,
	}})
	if err != nil {
		return nil, fmt.Errorf("encode note: %w", err)
	}
	c.contentType, c.body = formType, url.Values{"input_data": {string(input)}}.Encode()
	return d.do(ctx, c)
}

// noteKey is the configured envelope, else the one that was found out, else the edition's usual one.
func (d *sdp) noteKey(ctx context.Context) (key string, fixed bool) {
	if d.link.NoteKey != "" {
		return d.link.NoteKey, true
	}
	if row, err := d.link.sharedState(ctx); err == nil && row.NoteKey != "" {
		return row.NoteKey, false
	}
	if d.link.cloud() {
		return "request_note", false
	}
	return "note", false
}

// resolution implements lister.
func (d *sdp) resolution(ctx context.Context, ticketID string) (string, error) {
	e, err := d.get(ctx, "get_resolution", nil, "requests", ticketID, "resolutions")
	if err != nil || e.Resolution == nil {
		return "", err
	}
	return textOf(e.Resolution.Content), nil
}

// tickets implements lister.
func (d *sdp) tickets(ctx context.Context, q TicketQuery) (TicketPage, error) {
	start := max(q.Start, 1)
	info := map[string]any{"row_count": pageSize, "start_index": start, "sort_field": "created_time", "sort_order": "asc"}
	since := q.CreatedSince
	if !q.UpdatedSince.IsZero() {
		since, info["sort_field"] = q.UpdatedSince, "last_updated_time"
	}
	if !since.IsZero() {
		info["search_criteria"] = []any{map[string]any{
			"field": info["sort_field"], "condition": "greater or equal", "value": strconv.FormatInt(since.UnixMilli(), 10),
		}}
	}
	e, err := d.get(ctx, "list_requests", info, "requests")
	if err != nil {
		return TicketPage{}, err
	}
	page := TicketPage{Next: e.next(start, len(e.Requests))}
	for _, row := range e.Requests {
		t := row.ticket()
		t.Brief = true
		page.Tickets = append(page.Tickets, t)
	}
	return page, nil
}

// solutions implements lister. The list has no bodies, so each is fetched.
func (d *sdp) solutions(ctx context.Context, start int) (SolutionPage, error) {
	start = max(start, 1)
	e, err := d.get(ctx, "list_solutions", map[string]any{
		"row_count": pageSize, "start_index": start, "filter_by": map[string]any{"name": "ApprovedSolutions"},
	}, "solutions")
	if err != nil {
		return SolutionPage{}, err
	}
	page := SolutionPage{Next: e.next(start, len(e.Solutions))}
	for _, row := range e.Solutions {
		s := row.solution()
		if !d.link.ownsSolution(s) {
			page.Hidden++
			continue
		}
		if row.Description == nil {
			one, err := d.get(ctx, "get_solution", nil, "solutions", s.ID)
			if classOf(err) == missing {
				continue
			}
			if err != nil {
				return SolutionPage{}, err
			}
			if one.Solution != nil {
				s = one.Solution.solution()
			}
		}
		if s.ExpiresAt.IsZero() || s.ExpiresAt.After(d.link.module.clock()) {
			page.Solutions = append(page.Solutions, s)
		}
	}
	return page, nil
}

// ownsSolution keeps other customers' articles out. One without an account is the MSP's own: it is shown only when the
// MSP shows it to everybody.
func (l *link) ownsSolution(s Solution) bool {
	if l.msp() && s.AccountID == "" {
		return s.Public
	}
	return l.owns(s.AccountID)
}
