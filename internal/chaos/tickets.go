package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"aiagents/internal/harness"
	"aiagents/internal/simulator/servicedesk"
)

// topics are what the tickets are about, so that each finds similar ones in its tenant's past.
var topics = []struct{ subject, description, resolution string }{
	{"VPN does not connect from home", "The VPN client stops at 40 percent and then says that the gateway does not answer.", "Renewed the expired gateway certificate and restarted the VPN service."},
	{"Printer on the third floor prints blank pages", "Every page that leaves the printer is blank since the toner was changed.", "The seal of the new toner was still in place; removed it."},
	{"Mailbox is full and mail is refused", "Senders get their mail back because the mailbox is over its limit.", "Moved mail older than two years into the archive."},
	{"Shared drive is not mapped after sign-in", "The drive with the department's documents is missing since this morning.", "The group policy was filtered out; added the group again."},
	{"Password expired and cannot be changed", "The dialog refuses every new password without a reason.", "The account was locked; unlocked it and set a temporary password."},
	{"Accounting program freezes on month end", "The program stops reacting as soon as the month is closed.", "An index of the database was damaged; rebuilt it at night."},
}

// pastTickets is a tenant's history as a file for import.
func pastTickets(t *tenant) []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"ticket_id", "subject", "description", "resolution", "resolved_at", "priority", "tags"}) // into memory
	for i, topic := range topics {
		for n := range 3 {
			_ = w.Write([]string{
				fmt.Sprintf("%d", 900000+i*10+n), topic.subject, topic.description + " " + t.canary, topic.resolution,
				time.Date(2026, 3, 1+i, n, 0, 0, 0, time.UTC).Format(time.RFC3339), "Medium", "",
			})
		}
	}
	w.Flush()
	return out.Bytes()
}

// filing is a ticket that is put on its tenant's desk when the first webhook of it is about to be sent, as on a real desk:
// a ticket that lies there for long without its webhook is found by the product's reconciliation.
type filing struct {
	rig     *rig
	tenant  *tenant
	draft   servicedesk.Ticket
	thin    bool
	mark    string // the word that names the ticket
	once    sync.Once
	id      string
	created time.Time
	err     error
}

// newFiling drafts a ticket. One webhook in ten is thin, as ServiceDesk Plus can send it, so that the worker has to fetch
// the rest.
func (r *rig) newFiling(t *tenant, dice *rand.Rand) *filing {
	r.tickets++
	f := &filing{rig: r, tenant: t, mark: harness.Word("event", r.tickets, 8), thin: dice.IntN(10) == 0}
	topic := topics[dice.IntN(len(topics))]
	f.draft = servicedesk.Ticket{
		Subject: topic.subject + " " + f.mark, Description: topic.description + " " + t.canary,
		Priority: []string{"Low", "Medium", "Medium", "High"}[dice.IntN(4)], Requester: servicedesk.Person{Name: "Requester"},
	}
	return f
}

// file puts the ticket on the desk, once.
func (f *filing) file() error {
	f.once.Do(func() {
		ticket, err := f.tenant.desk.AddTicket(f.draft)
		if err != nil {
			f.err = fmt.Errorf("file ticket: %w", err)
			return
		}
		f.id, f.created = ticket.ID, time.Now().UTC()
		f.rig.filed(f)
	})
	return f.err
}

// webhook is the body that reports an event of the ticket; the same event always gives the same bytes.
func (f *filing) webhook(event string) ([]byte, error) {
	payload := map[string]any{
		"event": event, "ticket_id": f.id, "tenant_id": f.tenant.id, "priority": f.draft.Priority,
		"created_at": f.created.Format(time.RFC3339Nano),
	}
	if !f.thin && event == eventCreated {
		payload["subject"], payload["description"] = f.draft.Subject, f.draft.Description
	}
	return json.Marshal(payload)
}

// The events that are sent.
const (
	eventCreated = "ticket_created"
	eventUpdated = "ticket_updated" // recorded and skipped
)

// deliveries are the webhooks of n new tickets over all tenants.
func (r *rig) deliveries(n int, dice *rand.Rand) []delivery {
	out := make([]delivery, n)
	for i := range out {
		out[i] = delivery{filing: r.newFiling(r.tenants[dice.IntN(len(r.tenants))], dice), event: eventCreated}
	}
	return out
}
