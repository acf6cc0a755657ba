package enhancement

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"aiagents/modules/enhancement/evidence"
)

// What makes a storm: tickets of one tenant within a short time that share most of their words. They are open siblings of
// this ticket and no evidence of a fix, so they are told apart from solved tickets.
const (
	stormWindow  = 30 * time.Minute
	stormLeast   = 3
	stormOverlap = 0.5
	// stormLooks bounds the rows that are compared, newest first; a flood does not need a full count to be seen.
	stormLooks = 100
	stormShown = 5
)

// storm counts the tenant's recent tickets that look like t, of the same account where there are accounts. It returns nil when
// there is no storm.
func (m *Module) storm(ctx context.Context, tenantID string, t evidence.Ticket) (*evidence.Storm, error) {
	type sibling struct {
		TicketID string
		Text     string
	}
	var siblings []sibling
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT ticket_id, subject || ' ' || left(description, 500) AS text
			FROM enhancement_history
			WHERE tenant_id = $1 AND created_at > now() - $2::interval AND ticket_id <> $3 AND event = $4
			  AND ($6 = '' OR context_gathered->'ticket'->>'account_id' = $6)
			ORDER BY created_at DESC
			LIMIT $5`, tenantID, stormWindow, t.ID, eventCreated, stormLooks, t.AccountID)
		if err != nil {
			return fmt.Errorf("list recent tickets: %w", err)
		}
		siblings, err = pgx.CollectRows(rows, pgx.RowToStructByName[sibling])
		return err
	})
	if err != nil {
		return nil, err
	}
	own := wordSet(t.Subject + " " + firstRunes(t.Description, 500))
	s := evidence.Storm{Window: stormWindow}
	for _, other := range siblings {
		if overlap(own, wordSet(other.Text)) < stormOverlap {
			continue
		}
		s.Count++
		if len(s.Tickets) < stormShown {
			s.Tickets = append(s.Tickets, other.TicketID)
		}
	}
	if s.Count < stormLeast {
		return nil, nil
	}
	return &s, nil
}

// wordSet is the set of words of three letters or more, in lower case.
func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > 2 {
			set[w] = true
		}
	}
	return set
}

// overlap is the Jaccard index of two sets: shared words by all words.
func overlap(a, b map[string]bool) float64 {
	shared := 0
	for w := range a {
		if b[w] {
			shared++
		}
	}
	all := len(a) + len(b) - shared
	if all == 0 {
		return 0
	}
	return float64(shared) / float64(all)
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
