package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

// Ticket is a past ticket. An empty field says nothing: on a ticket that is known already, what is known stays.
type Ticket struct {
	ID          string
	Subject     string
	Description string // text or HTML; kept as text
	Resolution  string // text or HTML; kept as text
	ResolvedAt  time.Time
	Priority    string
	Tags        []string
	AccountID   string
	// Source is where the row comes from: import, webhook or sync.
	Source string
}

// Longest fields that are kept, in bytes. Longer ones are cut.
const (
	maxTicketID    = 100
	maxSubject     = 1_000
	maxDescription = 64 << 10
	maxResolution  = 64 << 10
	maxTags        = 50
)

// Tags of a ticket in the index.
const (
	tagSolved  = "solved"
	tagAccount = "account "
)

// Change counts what an upsert did.
type Change struct {
	Added     int
	Updated   int
	Unchanged int
}

func (c *Change) add(o Change) {
	c.Added += o.Added
	c.Updated += o.Updated
	c.Unchanged += o.Unchanged
}

// UpsertTicketTx stores one ticket and its index entry in the caller's transaction. The same ticket again changes nothing.
func (s *Store) UpsertTicketTx(ctx context.Context, tx pgx.Tx, tenantID string, t Ticket) error {
	batch, err := prepare([]Ticket{t})
	if err != nil {
		return err
	}
	_, err = upsertTickets(ctx, tx, tenantID, batch)
	return err
}

// UpsertTickets stores a batch of tickets, a few hundred to a thousand, in one transaction, and folds the index when enough
// has come together. Of two tickets with one id the later one counts.
func (s *Store) UpsertTickets(ctx context.Context, tenantID string, tickets []Ticket) (Change, error) {
	batch, err := prepare(tickets)
	if err != nil {
		return Change{}, err
	}
	var change Change
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) (err error) {
		change, err = upsertTickets(ctx, tx, tenantID, batch)
		return err
	})
	if err != nil {
		return Change{}, fmt.Errorf("store tickets: %w", err)
	}
	change.Unchanged += len(tickets) - len(batch)
	s.foldIfDue(ctx, tenantID, ticketPool)
	return change, nil
}

// DeleteTickets removes tickets and their index entries.
func (s *Store) DeleteTickets(ctx context.Context, tenantID string, ticketIDs []string) error {
	return s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return deleteTickets(ctx, tx, tenantID, ticketIDs)
	})
}

// prepared is a ticket that was cleaned and analysed before its transaction began, so that the transaction holds SQL only.
type prepared struct {
	Ticket
	vector vector
}

// prepare keeps the last ticket of each id, in the order of their keys, so that two batches that meet wait for each other
// instead of dead-locking.
func prepare(tickets []Ticket) ([]prepared, error) {
	last := make(map[string]Ticket, len(tickets))
	for _, t := range tickets {
		if t.ID == "" || len(t.ID) > maxTicketID {
			return nil, fault.Newf(fault.Invalid, "ticket_id: must have 1 to %d characters", maxTicketID)
		}
		last[t.ID] = t
	}
	batch := make([]prepared, 0, len(last))
	for _, id := range slices.Sorted(maps.Keys(last)) {
		t := last[id].clean()
		batch = append(batch, prepared{t, analyse(t.Subject, t.Description)})
	}
	return batch, nil
}

func upsertTickets(ctx context.Context, tx pgx.Tx, tenantID string, batch []prepared) (Change, error) {
	written, err := writeTickets(ctx, tx, tenantID, batch)
	if err != nil {
		return Change{}, err
	}
	analysed := make(map[string]prepared, len(batch))
	for _, t := range batch {
		analysed[t.ID] = t
	}
	change := Change{Unchanged: len(batch) - len(written)}
	documents := make([]indexed, len(written))
	for i, w := range written {
		documents[i] = indexed{w.ID, w.vector(analysed[w.TicketID])}
		if w.Inserted {
			change.Added++
		} else {
			change.Updated++
		}
	}
	slices.SortFunc(documents, func(a, b indexed) int { return cmp.Compare(a.id, b.id) })
	return change, putDocuments(ctx, tx, tenantID, ticketPool, documents)
}

// writtenTicket is a row as it stands after an upsert.
type writtenTicket struct {
	ID          int64
	TicketID    string
	Inserted    bool
	Subject     string
	Description string
	Resolution  string
	AccountID   string
}

// vector is what is searched: what was seen, not what was done. The next ticket describes the symptom.
func (w writtenTicket) vector(t prepared) vector {
	tags := []string{tagAccount + w.AccountID}
	if usable(w.Resolution) {
		tags = append(tags, tagSolved)
	}
	if w.Subject != t.Subject || w.Description != t.Description {
		return analyse(w.Subject, w.Description).tagged(tags...) // a field was empty and what was known stayed
	}
	return t.vector.tagged(tags...)
}

func (t Ticket) clean() Ticket {
	t.Subject = limited(plainText(t.Subject), maxSubject)
	t.Description = limited(plainText(t.Description), maxDescription)
	t.Resolution = limited(plainText(t.Resolution), maxResolution)
	t.Priority = limited(cleanText(t.Priority), maxTicketID)
	t.AccountID = limited(cleanText(t.AccountID), maxTicketID)
	t.Tags = slices.Clone(t.Tags[:min(len(t.Tags), maxTags)])
	for i := range t.Tags {
		t.Tags[i] = limited(strings.TrimSpace(cleanText(t.Tags[i])), maxTicketID)
	}
	t.Tags = slices.DeleteFunc(t.Tags, func(tag string) bool { return tag == "" })
	return t
}

// empty resolutions are what is written when the form wants something.
var emptyResolutions = wordSet(`done fixed solved resolved closed close ok okay complete completed finished see above below
	ticket issue problem request duplicate spam test na none nothing nil user called call back erledigt gelost geschlossen
	resolu resuelto risolto opgelost as per cancelled canceled no response answer worked works working now again`)

// usable reports whether a resolution tells a technician anything: at least three words that are no mere closing phrase.
func usable(resolution string) bool {
	tokens := tokenise(resolution)
	lang, words := detect(tokens), 0
	for _, t := range tokens {
		if !lang.stop[t.text] && !emptyResolutions[t.text] {
			words++
		}
	}
	return words >= 3
}

const expireBatch = 500

// Expire deletes a tenant's past tickets that were solved before the given time, in small transactions, and returns how many;
// with dryRun it only counts them.
func (s *Store) Expire(ctx context.Context, tenantID string, before time.Time, dryRun bool) (int64, error) {
	var total int64
	if dryRun {
		err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				SELECT count(*) FROM ticket_history
				WHERE tenant_id = $1 AND coalesce(resolved_date, created_at) < $2`, tenantID, before).Scan(&total)
		})
		return total, err
	}
	for {
		var ids []string
		err := s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `
				SELECT ticket_id FROM ticket_history
				WHERE tenant_id = $1 AND coalesce(resolved_date, created_at) < $2
				LIMIT $3`, tenantID, before, expireBatch)
			if err != nil {
				return fmt.Errorf("find expired tickets: %w", err)
			}
			if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(ids) == 0 {
				return err
			}
			return deleteTickets(ctx, tx, tenantID, ids)
		})
		if err != nil {
			return total, err
		}
		total += int64(len(ids))
		if len(ids) < expireBatch {
			return total, nil
		}
	}
}
