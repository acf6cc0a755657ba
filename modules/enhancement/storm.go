package enhancement

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
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
	err := m.deps.DB.InTenantBatch(ctx, tenantID, func(b *pgx.Batch) {
		b.Queue(`
			SELECT ticket_id, subject || ' ' || left(description, 500) AS text
			FROM enhancement_history
			WHERE tenant_id = $1 AND created_at > now() - $2::interval AND ticket_id <> $3 AND event = $4
			  AND ($6 = '' OR context_gathered->'ticket'->>'account_id' = $6)
			ORDER BY created_at DESC
			LIMIT $5`, tenantID, stormWindow, t.ID, eventCreated, stormLooks, t.AccountID).
			Query(func(rows pgx.Rows) (err error) {
				siblings, err = pgx.CollectRows(rows, pgx.RowToStructByName[sibling])
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("list recent tickets: %w", err)
	}
	own := newLikeness(t.Subject + " " + firstRunes(t.Description, 500))
	s := evidence.Storm{Window: stormWindow}
	for _, other := range siblings {
		if own.with(other.Text, stormOverlap) < stormOverlap {
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

// StormGroup is a number of a tenant's recent tickets that look alike.
type StormGroup struct {
	Count int `json:"count"`
	// Subject is that of the newest one.
	Subject string `json:"subject"`
	// First and Last are when the oldest and the newest were received.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Tickets are the newest ones, 20 at most, with their runs.
	Tickets []StormTicket `json:"tickets"`
}

// StormTicket is one ticket of a storm.
type StormTicket struct {
	TicketID      string    `json:"ticket_id"`
	EnhancementID uuid.UUID `json:"enhancement_id"`
}

const stormGroupShown = 20

// Storms groups the tenant's tickets of the last half hour that look alike, the largest group first. Accounts are not kept apart:
// it is for the operator, who sees the whole tenant.
func (m *Module) Storms(ctx context.Context, tenantID string) ([]StormGroup, error) {
	var recent []recentTicket
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id, ticket_id, subject, subject || ' ' || left(description, 500) AS text, created_at
			FROM enhancement_history
			WHERE tenant_id = $1 AND created_at > now() - $2::interval AND event = $3
			ORDER BY created_at DESC, id DESC
			LIMIT $4`, tenantID, stormWindow, eventCreated, stormLooks)
		if err != nil {
			return fmt.Errorf("list recent tickets: %w", err)
		}
		recent, err = pgx.CollectRows(rows, pgx.RowToStructByName[recentTicket])
		return err
	})
	return groupAlike(recent), err
}

type recentTicket struct {
	ID        uuid.UUID
	TicketID  string
	Subject   string
	Text      string
	CreatedAt time.Time
}

// groupAlike compares each ticket, the newest first, with the first of every group, as a run compares itself with its siblings.
func groupAlike(recent []recentTicket) []StormGroup {
	type group struct {
		words []uint64
		StormGroup
	}
	var groups []*group
	for _, t := range recent {
		words := wordSet(t.Text)
		i := slices.IndexFunc(groups, func(g *group) bool { return overlap(g.words, words) >= stormOverlap })
		if i < 0 {
			groups = append(groups, &group{words: words, StormGroup: StormGroup{Subject: t.Subject, Last: t.CreatedAt}})
			i = len(groups) - 1
		}
		g := groups[i]
		g.Count++
		g.First = t.CreatedAt
		if len(g.Tickets) < stormGroupShown {
			g.Tickets = append(g.Tickets, StormTicket{TicketID: t.TicketID, EnhancementID: t.ID})
		}
	}
	var storms []StormGroup
	for _, g := range groups {
		// As many as make a storm for a run: itself and stormLeast others.
		if g.Count > stormLeast {
			storms = append(storms, g.StormGroup)
		}
	}
	slices.SortStableFunc(storms, func(a, b StormGroup) int { return b.Count - a.Count })
	return storms
}

// wordSeed is the process's own: hashes are compared within one comparison only.
var wordSeed = maphash.MakeSeed()

// wordSet is the set of words of three letters or more, in lower case, as sorted hashes: a hundred texts are compared for each
// ticket, so a set must cost little more than reading its text.
func wordSet(text string) []uint64 {
	set := wordHashes(nil, text)
	slices.Sort(set)
	return slices.Compact(set)
}

// wordHashes appends the hashes of the words of a text to list, each as often as it stands there.
func wordHashes(list []uint64, text string) []uint64 {
	var buffer [64]byte
	word := buffer[:0]
	end := func() {
		if len(word) > 2 {
			list = append(list, maphash.Bytes(wordSeed, word))
		}
		word = word[:0]
	}
	for _, r := range text {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			word = append(word, byte(r))
		case r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			word = utf8.AppendRune(word, r)
		default:
			end()
		}
	}
	end()
	return list
}

// likeness compares texts with one set of words.
type likeness struct {
	own []uint64
	// near marks the low bits of the words' hashes: it may take another word for one of the set, never the other way round.
	near [1 << 12]bool
	list []uint64
}

func newLikeness(text string) *likeness {
	l := &likeness{own: wordSet(text), list: make([]uint64, 0, 128)}
	for _, w := range l.own {
		l.near[w%uint64(len(l.near))] = true
	}
	return l
}

// with is the overlap with a text, or 0 where it is surely below least: the words in common are at most those that near knows,
// and all words are at least those of the set.
func (l *likeness) with(text string, least float64) float64 {
	l.list = wordHashes(l.list[:0], text)
	shared := 0
	for _, w := range l.list {
		if l.near[w%uint64(len(l.near))] {
			shared++
		}
	}
	if float64(shared) < least*float64(len(l.own)) {
		return 0
	}
	slices.Sort(l.list)
	return overlap(l.own, slices.Compact(l.list))
}

// overlap is the Jaccard index of two sets: shared words by all words.
func overlap(a, b []uint64) float64 {
	shared := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			shared, i, j = shared+1, i+1, j+1
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
