package notifier

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// generic speaks to a small bridge in front of another ticketing system: POST and GET of /api/tickets/{id}/notes with a
// bearer token. It has no way to read tickets or to change a note, so the webhook must carry the whole ticket.
type generic struct{ link *link }

// dress implements protocol.
func (g *generic) dress(req *http.Request, credential string) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+credential)
}

// judge implements protocol. The bridge says all it has to say by the HTTP status.
func (g *generic) judge(resp *http.Response, body []byte, now time.Time) error {
	isJSON := json.Valid(body)
	if resp.StatusCode < 300 && isJSON {
		return nil
	}
	e := &callError{class: classOfStatus(resp.StatusCode, isJSON), status: resp.StatusCode}
	if e.class == limited {
		e.retryAfter = retryAfter(resp.Header, now)
	}
	return e
}

func (g *generic) url(ticketID string) string {
	return g.link.root("/api/tickets/") + url.PathEscape(ticketID) + "/notes"
}

type genericNote struct {
	ID      id     `json:"id"`
	Content string `json:"content"`
	Author  string `json:"author"`
}

// ticket implements reader.
func (g *generic) ticket(context.Context, string) (Ticket, error) { return Ticket{}, errUnsupported }

// notes implements reader. The bridge's list has all notes and their content.
func (g *generic) notes(ctx context.Context, ticketID string, _ time.Time) ([]Note, error) {
	body, err := g.link.do(ctx, call{operation: "list_notes", method: http.MethodGet, url: g.url(ticketID)})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Notes []genericNote `json:"notes"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, &callError{class: lost, cause: fmt.Errorf("decode notes: %w", err)}
	}
	notes := make([]Note, len(answer.Notes))
	for i, n := range answer.Notes {
		notes[i] = Note{ID: string(n.ID), HTML: n.Content, Author: n.Author}
	}
	return notes, nil
}

// probe implements reader: a ticket that cannot exist is answered with 404 to a good token and with 401 to any other.
func (g *generic) probe(ctx context.Context) error {
	_, err := g.notes(ctx, "0", time.Time{})
	if classOf(err) == missing {
		return nil
	}
	return err
}

// addNote implements writer.
func (g *generic) addNote(ctx context.Context, ticketID, html string) (string, error) {
	input, err := json.Marshal(map[string]string{"content": html})
	if err != nil {
		return "", fmt.Errorf("encode note: %w", err)
	}
	body, err := g.link.do(ctx, call{
		operation: "add_note", method: http.MethodPost, url: g.url(ticketID), once: true,
		contentType: "application/json", body: string(input),
	})
	if err != nil {
		return "", err
	}
	var n genericNote
	if err := json.Unmarshal(body, &n); err != nil || n.ID == "" {
		return "", &callError{class: lost, cause: errNoEntity}
	}
	return string(n.ID), nil
}

// updateNote implements writer.
func (g *generic) updateNote(context.Context, string, string, string) error { return errUnsupported }

// deleteNote implements writer.
func (g *generic) deleteNote(context.Context, string, string) error { return errUnsupported }

// resolution implements lister.
func (g *generic) resolution(context.Context, string) (string, error) { return "", errUnsupported }

// tickets implements lister.
func (g *generic) tickets(context.Context, TicketQuery) (TicketPage, error) {
	return TicketPage{}, errUnsupported
}

// assets implements lister.
func (g *generic) assets(context.Context, int) (AssetPage, error) {
	return AssetPage{}, errUnsupported
}

// solutions implements lister.
func (g *generic) solutions(context.Context, int) (SolutionPage, error) {
	return SolutionPage{}, errUnsupported
}
