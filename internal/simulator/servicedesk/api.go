package servicedesk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// AddTicket puts a ticket on the desk without telling anybody: history from before
// the webhook was set up. It returns the ticket as stored.
func (d *Desk) AddTicket(t Ticket) (Ticket, error) {
	t.Description, t.Resolution = sanitize(t.Description), sanitize(t.Resolution)
	t, err := d.data.addTicket(t, d.clock())
	if err != nil {
		return Ticket{}, err
	}
	return t, d.journal.write(Entry{Kind: "ticket", Ticket: &t, Time: d.clock()})
}

// CreateTicket files a ticket as a requester would and sends the webhooks that
// listen for it. The answer is that of the first webhook; WebhookAnswers has all.
// An unreachable receiver is part of the answer, not an error.
func (d *Desk) CreateTicket(ctx context.Context, t Ticket) (string, WebhookAnswer, error) {
	t, err := d.AddTicket(t)
	if err != nil {
		return "", WebhookAnswer{}, fmt.Errorf("create ticket: %w", err)
	}
	return t.ID, d.fire(ctx, TicketCreated, t), nil
}

// ResolveTicket sets status and resolution (HTML) and sends the webhooks for it.
func (d *Desk) ResolveTicket(ctx context.Context, id, resolution string) (WebhookAnswer, error) {
	return d.finish(ctx, id, TicketResolved, "Resolved", resolution)
}

// CloseTicket closes a ticket and sends the webhooks for it.
func (d *Desk) CloseTicket(ctx context.Context, id string) (WebhookAnswer, error) {
	return d.finish(ctx, id, TicketClosed, "Closed", "")
}

// finish is what resolving and closing share: one update, one event.
func (d *Desk) finish(ctx context.Context, id, event, status, resolution string) (WebhookAnswer, error) {
	t, ok, err := d.updateTicket(id, func(t *Ticket) {
		t.Status = status
		t.Resolution = cmp.Or(sanitize(resolution), t.Resolution)
		t.Closed = d.clock()
	})
	if !ok {
		return WebhookAnswer{}, fmt.Errorf("no ticket %q", id)
	}
	if err != nil {
		return WebhookAnswer{}, err
	}
	return d.fire(ctx, event, t), nil
}

// FireWebhook sends the webhooks for an event on an existing ticket, as a trigger
// that runs again does.
func (d *Desk) FireWebhook(ctx context.Context, event, ticketID string) (WebhookAnswer, error) {
	t, ok := d.data.ticket(ticketID)
	if !ok {
		return WebhookAnswer{}, fmt.Errorf("no ticket %q", ticketID)
	}
	return d.fire(ctx, event, t), nil
}

// Ticket returns one ticket.
func (d *Desk) Ticket(id string) (Ticket, bool) { return d.data.ticket(id) }

// Tickets returns all tickets in the order they were created.
func (d *Desk) Tickets() []Ticket { return d.data.all() }

// Notes returns the notes of a ticket as applied, whatever a list lag hides from the API.
func (d *Desk) Notes(ticketID string) []Note { return d.data.notes(ticketID) }

// AddNote writes a note as a technician at the desk would.
func (d *Desk) AddNote(n Note) (Note, error) {
	n.Author = cmp.Or(n.Author, "Technician")
	n.Description = sanitize(n.Description)
	return d.applyNote(n)
}

// AddSolution publishes a knowledge base article and returns its id.
func (d *Desk) AddSolution(s Solution) string {
	d.data.mu.Lock()
	defer d.data.mu.Unlock()
	s.ID = cmp.Or(s.ID, d.data.newID("solution"))
	s.Status = cmp.Or(s.Status, "Approved")
	if s.Updated.IsZero() {
		s.Updated = d.clock()
	}
	d.data.solutions = append(d.data.solutions, s)
	return s.ID
}

// AddAsset puts a machine on the inventory and returns its id.
func (d *Desk) AddAsset(a Asset) string {
	d.data.mu.Lock()
	defer d.data.mu.Unlock()
	a.ID = cmp.Or(a.ID, d.data.newID("asset"))
	d.data.assets = append(d.data.assets, a)
	return a.ID
}

// RemoveAsset takes a machine off the inventory.
func (d *Desk) RemoveAsset(id string) {
	d.data.mu.Lock()
	defer d.data.mu.Unlock()
	d.data.assets = slices.DeleteFunc(d.data.assets, func(a Asset) bool { return a.ID == id })
}

// applyNote stores a sanitised note; it is durable when this returns.
func (d *Desk) applyNote(n Note) (Note, error) {
	n, ok := d.data.addNote(n, d.clock())
	if !ok {
		return Note{}, fmt.Errorf("no ticket %q", n.TicketID)
	}
	return n, d.journal.write(Entry{Kind: "note", Note: &n, Time: n.Added})
}

// updateTicket changes a ticket and makes the change durable before anybody is told.
func (d *Desk) updateTicket(id string, change func(*Ticket)) (Ticket, bool, error) {
	t, ok := d.data.update(id, d.clock(), change)
	if !ok {
		return Ticket{}, false, nil
	}
	return t, true, d.journal.write(Entry{Kind: "ticket", Ticket: &t, Time: d.clock()})
}
