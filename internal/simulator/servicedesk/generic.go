package servicedesk

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// genericRoutes are the bridge's whole interface: add a note, list the notes.
var genericRoutes = []*route{
	on("POST", "tickets/{}/notes", NotesAdd, (*Desk).addGenericNote),
	on("GET", "tickets/{}/notes", NotesList, (*Desk).listGenericNotes),
}

// genericFailure is the bridge's error shape.
func genericFailure(status int, message string) *reply {
	return jsonReply(status, map[string]any{"error": map[string]any{"message": message}})
}

// addGenericNote takes exactly {"content": …}.
func (d *Desk) addGenericNote(c *call) *reply {
	if _, ok := d.data.ticket(c.ticketID); !ok {
		return genericFailure(http.StatusNotFound, "no such ticket")
	}
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return genericFailure(http.StatusUnsupportedMediaType, "content type must be application/json")
	}
	var in struct {
		Content string `json:"content"`
	}
	dec := json.NewDecoder(strings.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return genericFailure(http.StatusBadRequest, "body must be an object with content")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || strings.TrimSpace(in.Content) == "" {
		return genericFailure(http.StatusBadRequest, "body must be one object with a content that is not empty")
	}
	n, err := d.applyNote(Note{TicketID: c.ticketID, Author: c.tech.Name, Description: c.stripMarkers(sanitize(in.Content))})
	if err != nil {
		return genericFailure(http.StatusInternalServerError, "internal error")
	}
	return jsonReply(http.StatusCreated, genericNote(n))
}

// listGenericNotes returns all notes, oldest first; the bridge has no paging.
func (d *Desk) listGenericNotes(c *call) *reply {
	if _, ok := d.data.ticket(c.ticketID); !ok {
		return genericFailure(http.StatusNotFound, "no such ticket")
	}
	rows := []any{}
	for _, n := range d.listed(c) {
		rows = append(rows, genericNote(n))
	}
	return jsonReply(http.StatusOK, map[string]any{"notes": rows})
}

func genericNote(n Note) map[string]any {
	return map[string]any{"id": n.ID, "content": n.Description, "created_at": n.Added.UTC().Format(time.RFC3339)}
}
