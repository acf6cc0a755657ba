package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"aiagents/internal/harness"
	"aiagents/modules/enhancement/retrieval/eval"
)

// world makes up every text of a run from its seed. The load generator and the simulators are two processes; a ticket's number
// is all that they need to agree on.
type world struct {
	tenants int
	seed    uint64
	corpus  *eval.Corpus
	drafts  []draft // new tickets repeat these texts, each with a word of its own
}

// draft is the text of a new ticket: a past one as another person would have written it.
type draft struct{ subject, description string }

const (
	draftCount  = 500
	firstTicket = 1_000_000 // the id of new ticket 0; past tickets have smaller ones
	markPrefix  = "event"
	markLetters = 8
)

func newWorld(tenants, history int, seed uint64) *world {
	w := &world{tenants: tenants, seed: seed, corpus: eval.NewCorpus(), drafts: make([]draft, draftCount)}
	history = max(history, 1)
	for i := range w.drafts {
		q := w.corpus.Garbled(w.corpus.Ticket((i*7919 + int(seed%1e6)) % history))
		w.drafts[i] = draft{subject: q.Subject, description: q.Description}
	}
	return w
}

// tenant of a ticket: they take turns.
func (w *world) tenantOf(ticket int) int { return ticket % w.tenants }

func tenantID(n int) string { return "tenant-" + strconv.Itoa(n) }

func ticketID(ticket int) string { return strconv.Itoa(firstTicket + ticket) }

// numberOf is the ticket behind an id of the desk.
func numberOf(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	return n - firstTicket, err == nil && n >= firstTicket
}

// markOf is the word in the subject by which the model's side recognises the ticket.
func markOf(ticket int) string { return harness.Word(markPrefix, ticket, markLetters) }

func (w *world) secret(tenant int) string {
	return fmt.Sprintf("whsecret-%d-%d-0123456789abcdef", tenant, w.seed)
}

func (w *world) apiKey(tenant int) string { return fmt.Sprintf("APIKEY%d%dABCDEF", tenant, w.seed) }

// text of a ticket; the mark makes each one different.
func (w *world) text(ticket int) (subject, description string) {
	d := w.drafts[ticket%len(w.drafts)]
	return d.subject + " " + markOf(ticket), d.description
}

// webhook is the body that reports the ticket.
func (w *world) webhook(ticket int, created time.Time) []byte {
	subject, description := w.text(ticket)
	body, err := json.Marshal(map[string]any{
		"event": "ticket_created", "ticket_id": ticketID(ticket), "tenant_id": tenantID(w.tenantOf(ticket)),
		"subject": subject, "description": description, "priority": "Medium", "created_at": created.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		panic(err) // texts always encode
	}
	return body
}

// past is a tenant's history as a file for import; nil for none.
func (w *world) past(tickets int) []byte {
	if tickets == 0 {
		return nil
	}
	var out bytes.Buffer
	c := csv.NewWriter(&out)
	_ = c.Write([]string{"ticket_id", "subject", "description", "resolution", "resolved_at", "priority", "tags"}) // into memory
	for n := range tickets {
		t := w.corpus.Ticket(n)
		_ = c.Write([]string{t.ID, t.Subject, t.Description, t.Resolution, t.ResolvedAt.Format(time.RFC3339), "Medium", strings.Join(t.Tags, ";")})
	}
	c.Flush()
	return out.Bytes()
}
