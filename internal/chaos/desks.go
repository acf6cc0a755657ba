package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"aiagents/internal/harness"
	"aiagents/internal/simulator/servicedesk"
)

// tenant is one customer with a service desk of its own.
type tenant struct {
	id     string
	canary string // stands in every text of this tenant, and must stand in nobody else's note or prompt
	secret string // of its webhooks
	apiKey string
	desk   *servicedesk.Desk
	server *servicedesk.Server
	link   *link
	file   string // the desk's journal
}

func startTenant(dir string, n int, seed uint64) (*tenant, error) {
	t := &tenant{
		id: fmt.Sprintf("tenant-%02d", n), canary: harness.Word("canary", n+1, 6),
		secret: fmt.Sprintf("whsecret-%02d-%s", n, harness.Word("", int(seed%1e9)+n, 24)),
		apiKey: strings.ToUpper(fmt.Sprintf("apikey%02d%s", n, harness.Word("", int(seed%1e9)+7*n, 24))),
	}
	t.file = filepath.Join(dir, "journals", t.id+".jsonl")
	var err error
	t.desk, err = servicedesk.New(servicedesk.Options{
		Edition: servicedesk.OnPrem, APIKey: t.apiKey, CountersOnly: true, JournalFile: t.file, Seed: seed + uint64(n),
	})
	if err != nil {
		return nil, fmt.Errorf("start desk of %s: %w", t.id, err)
	}
	if t.server, err = servicedesk.Serve("127.0.0.1:0", t.desk); err != nil {
		return nil, fmt.Errorf("start desk of %s: %w", t.id, err)
	}
	t.link, err = newLink(t.id, strings.TrimPrefix(t.server.URL, "http://"))
	return t, err
}

// standing is a note as the desk's journal tells it.
type standing struct {
	tenant, ticket, id, html string
	added                    time.Time
	deleted                  bool
}

// notes reads the desk's journal: every note that was ever applied.
func (t *tenant) notes() ([]standing, error) {
	entries, err := servicedesk.ReadJournal(t.file)
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", t.id, err)
	}
	byID := map[string]int{}
	var all []standing
	for _, e := range entries {
		if e.Note == nil {
			continue
		}
		i, known := byID[e.Note.ID]
		if !known {
			i = len(all)
			byID[e.Note.ID] = i
			all = append(all, standing{tenant: t.id, ticket: e.Note.TicketID, id: e.Note.ID, added: e.Note.Added})
		}
		all[i].html = e.Note.Description
		all[i].deleted = e.Kind == "note_deleted"
	}
	return all, nil
}

func (t *tenant) close() {
	t.link.close()
	_ = t.server.Close() // the run is over; what it kept is in the journal
}
