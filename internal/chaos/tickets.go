package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

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

// newDelivery files a ticket on the tenant's desk and makes the webhook that reports it. One in ten is thin, as
// ServiceDesk Plus can send it, so that the worker has to fetch the rest.
func (r *rig) newDelivery(t *tenant, rng *rand.Rand) (delivery, error) {
	r.tickets++
	mark := word("event", r.tickets, 8)
	topic := topics[rng.IntN(len(topics))]
	priority := []string{"Low", "Medium", "Medium", "High"}[rng.IntN(4)]
	id, err := t.desk.AddTicket(servicedesk.Ticket{
		Subject: topic.subject + " " + mark, Description: topic.description + " " + t.canary, Priority: priority,
		Requester: servicedesk.Person{Name: "Requester"},
	})
	if err != nil {
		return delivery{}, fmt.Errorf("file ticket: %w", err)
	}
	payload := map[string]any{
		"event": "ticket_created", "ticket_id": id.ID, "tenant_id": t.id, "priority": priority,
		"created_at": time.Now().UTC().Format(time.RFC3339Nano),
	}
	if rng.IntN(10) > 0 {
		payload["subject"] = topic.subject + " " + mark
		payload["description"] = topic.description + " " + t.canary
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return delivery{}, fmt.Errorf("encode webhook: %w", err)
	}
	return delivery{tenant: t, ticket: id.ID, event: "ticket_created", mark: mark, body: body}, nil
}

// deliveries are n new tickets over all tenants.
func (r *rig) deliveries(n int, rng *rand.Rand) ([]delivery, error) {
	out := make([]delivery, 0, n)
	for range n {
		d, err := r.newDelivery(r.tenants[rng.IntN(len(r.tenants))], rng)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
