package retrieval

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

const tenant = "harbor"

// generous shows whatever is found: the tests with a handful of tickets ask what is found, not how sure that is.
func generous() Config {
	cfg := DefaultConfig()
	cfg.SimilarFloor, cfg.ArticleFloor = 0, 0
	return cfg
}

func newStore(t *testing.T, cfg Config) *Store {
	t.Helper()
	return New(dbtest.New(t).DB, cfg, slog.New(slog.DiscardHandler))
}

func vpnTicket(id string) Ticket {
	return Ticket{
		ID: id, Subject: "VPN error 809 on FS-01", Description: "The VPN client shows error 809 since the update of this morning.",
		Resolution: "Opened UDP 500 and 4500 on the firewall", ResolvedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Source: "import",
	}
}

func upsert(t *testing.T, s *Store, tenantID string, tickets ...Ticket) Change {
	t.Helper()
	change, err := s.UpsertTickets(t.Context(), tenantID, tickets)
	require.NoError(t, err)
	return change
}

func similar(t *testing.T, s *Store, tenantID string, q Query) []string {
	t.Helper()
	found, err := s.SearchSimilar(t.Context(), tenantID, q)
	require.NoError(t, err)
	ids := []string{}
	for _, f := range found {
		ids = append(ids, f.TicketID)
	}
	return ids
}

func foldAll(t *testing.T, s *Store, tenantID string) {
	t.Helper()
	for _, p := range []pool{ticketPool, articlePool} {
		_, err := s.fold(t.Context(), tenantID, p, 1)
		require.NoError(t, err)
	}
}

func TestSearchSimilarFindsTheFixAndSaysWhereItIsFrom(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("41"), Ticket{
		ID: "40", Subject: "Printer jams", Description: "Paper jam in tray two", Resolution: "Replaced the pickup roller", Source: "sync",
	})

	found, err := s.SearchSimilar(t.Context(), tenant, Query{Subject: "VPN: error 809", Description: "<p>client shows error 809</p>", ExcludeTicketID: "50"})

	require.NoError(t, err)
	require.Len(t, found, 1, "the printer shares no word")
	require.InDelta(t, 0.5, found[0].Score, 0.5)
	found[0].Score = 0
	require.Equal(t, evidence.SimilarTicket{
		ID: "T-41", TicketID: "41", Subject: "VPN error 809 on FS-01", Source: "import",
		Excerpt:    "The VPN client shows error 809 since the update of this morning.",
		Resolution: "Opened UDP 500 and 4500 on the firewall", ResolvedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}, found[0])
}

func TestSearchSimilarLeavesOut(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	solved, closed, open := vpnTicket("1"), vpnTicket("2"), vpnTicket("3")
	closed.Resolution, open.Resolution = "Done.", ""
	upsert(t, s, tenant, solved, closed, open)
	query := Query{Subject: "VPN error 809"}

	for _, state := range []string{"unfolded", "folded"} {
		require.Equal(t, []string{"1"}, similar(t, s, tenant, query), state)
		require.Empty(t, similar(t, s, tenant, Query{Subject: "VPN error 809", ExcludeTicketID: "1"}), "never itself, %s", state)
		require.Empty(t, similar(t, s, tenant, Query{Subject: "unrelated words only"}), state)
		require.Empty(t, similar(t, s, tenant, Query{Subject: "the and"}), "a query of stop words, %s", state)
		all, err := s.Rank(t.Context(), tenant, Query{Subject: "VPN error 809", AnyResolution: true})
		require.NoError(t, err)
		require.Len(t, all, 3, state)
		foldAll(t, s, tenant)
	}
}

func TestTheFloorShowsNothingRatherThanNoise(t *testing.T) {
	t.Parallel()
	s := newStore(t, DefaultConfig())
	var others []Ticket
	for i := range 150 {
		others = append(others, Ticket{
			ID: fmt.Sprint(1000 + i), Subject: fmt.Sprintf("Request %d for a laptop", i), Resolution: "Ordered and handed over at the desk",
			Description: fmt.Sprintf("Please order item%d for the new colleague, since this morning the team waits", i), Source: "import",
		})
	}
	upsert(t, s, tenant, append(others, vpnTicket("1400"))...)

	require.Equal(t, []string{"1400"}, similar(t, s, tenant, Query{Subject: "VPN error 809", Description: "VPN client shows error 809 since today", ExcludeTicketID: "1410"}))
	require.Empty(t, similar(t, s, tenant, Query{Subject: "Badge reader is dead", Description: "Nobody gets in at the door since this morning", ExcludeTicketID: "1411"}))
}

func TestAccountsAreKeptApart(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	a, b := vpnTicket("1"), vpnTicket("2")
	a.AccountID, b.AccountID = "north", "south"
	upsert(t, s, tenant, a, b)
	for range 2 {
		require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "VPN error 809", AccountID: "north"}))
		require.Empty(t, similar(t, s, tenant, Query{Subject: "VPN error 809", AccountID: "east"}))
		require.Len(t, similar(t, s, tenant, Query{Subject: "VPN error 809"}), 2)
		foldAll(t, s, tenant)
	}
}

func TestTenantsAreKeptApart(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("1"))
	upsert(t, s, "other", vpnTicket("2"))
	foldAll(t, s, "other")

	require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "VPN error 809"}))
	require.Equal(t, []string{"2"}, similar(t, s, "other", Query{Subject: "VPN error 809"}))
	require.Empty(t, similar(t, s, "third", Query{Subject: "VPN error 809"}))
	require.NoError(t, s.db.InTenantTx(t.Context(), "other", func(ctx context.Context, tx pgx.Tx) error {
		for _, table := range tables {
			var n int
			require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE tenant_id = $1`, tenant).Scan(&n))
			require.Zero(t, n, "%s shows another tenant's rows", table)
		}
		return nil
	}))
	require.NoError(t, s.Purge(t.Context(), "other"))
	require.Empty(t, similar(t, s, "other", Query{Subject: "VPN error 809"}))
	require.Len(t, similar(t, s, tenant, Query{Subject: "VPN error 809"}), 1, "only the one tenant is purged")
}

func TestUpsertIsIdempotentAndKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	require.Equal(t, Change{Added: 1}, upsert(t, s, tenant, vpnTicket("1")))
	require.Equal(t, Change{Unchanged: 1}, upsert(t, s, tenant, vpnTicket("1")))
	foldAll(t, s, tenant)

	require.Equal(t, Change{Updated: 1}, upsert(t, s, tenant, Ticket{ID: "1", Resolution: "Replaced the VPN gateway certificate", Source: "webhook"}))
	found, err := s.SearchSimilar(t.Context(), tenant, Query{Subject: "VPN error 809"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "VPN error 809 on FS-01", found[0].Subject, "an empty field says nothing")
	require.Equal(t, "Replaced the VPN gateway certificate", found[0].Resolution)
	require.Equal(t, "webhook", found[0].Source)

	_, err = s.UpsertTickets(t.Context(), tenant, []Ticket{{ID: "", Source: "import"}})
	require.True(t, fault.Is(err, fault.Invalid))
	_, err = s.UpsertTickets(t.Context(), tenant, []Ticket{{ID: "9", Source: "rumour"}})
	require.Error(t, err, "the source must be known")
}

func TestAChangedOrDeletedTextIsNotFoundByItsOldWords(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("1"), vpnTicket("2"))
	foldAll(t, s, tenant)
	changed := vpnTicket("1")
	changed.Subject, changed.Description = "Scanner offline", "The scanner at the counter does not answer"
	upsert(t, s, tenant, changed)
	require.NoError(t, s.DeleteTickets(t.Context(), tenant, []string{"2"}))
	for range 2 {
		require.Empty(t, similar(t, s, tenant, Query{Subject: "VPN error 809"}))
		require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "scanner offline"}))
		foldAll(t, s, tenant)
	}
}

// TestFoldingChangesNoAnswer compares the two forms of the index: rows one by one, and segments of several generations.
func TestFoldingChangesNoAnswer(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	words := strings.Fields("vpn printer mail disk login slow error driver update laptop screen network share password token server")
	var queries []Query
	for i := range 60 {
		pick := func(n int) string { return words[(i*7+n*n)%len(words)] + fmt.Sprintf(" x%d", (i+n)%9) }
		t1 := Ticket{
			ID: fmt.Sprint(100 + i), Subject: pick(1) + " " + pick(2), Description: pick(3) + " " + pick(4) + " " + pick(5),
			Resolution: "Restarted the spooler service", Source: "import",
		}
		queries = append(queries, Query{Subject: t1.Subject, Description: pick(6), ExcludeTicketID: t1.ID, Limit: 5})
		upsert(t, s, tenant, t1)
	}
	var before [][]string
	for _, q := range queries {
		before = append(before, similar(t, s, tenant, q))
		require.NotEmpty(t, before[len(before)-1])
	}
	// Three generations: all, then an update, then everything merged.
	foldAll(t, s, tenant)
	touched := vpnTicket("500")
	upsert(t, s, tenant, touched)
	require.NoError(t, s.DeleteTickets(t.Context(), tenant, []string{"500"}))
	foldAll(t, s, tenant)
	for i, q := range queries {
		require.Equal(t, before[i], similar(t, s, tenant, q), "query %d", i)
	}
}

// TestWritersAndFoldsAtOnce lets writers, folds and searches race; in the end every ticket is found and statistics are right.
func TestWritersAndFoldsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	var group sync.WaitGroup
	errs := make(chan error, 100)
	for w := range 4 {
		group.Go(func() {
			for i := range 25 {
				ticket := vpnTicket(fmt.Sprint(w*1000 + i))
				ticket.Description += fmt.Sprintf(" unique%dx%d", w, i)
				if _, err := s.UpsertTickets(t.Context(), tenant, []Ticket{ticket, vpnTicket("shared")}); err != nil {
					errs <- err
				}
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for range 20 {
				if _, err := s.fold(t.Context(), tenant, ticketPool, 1); err != nil {
					errs <- err
				}
				if _, err := s.SearchSimilar(t.Context(), tenant, Query{Subject: "VPN error 809"}); err != nil {
					errs <- err
				}
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	foldAll(t, s, tenant)
	for w := range 4 {
		for i := range 25 {
			require.Equal(t, fmt.Sprint(w*1000+i), similar(t, s, tenant, Query{Subject: fmt.Sprintf("unique%dx%d", w, i)})[0])
		}
	}
	require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		q := search{index: s.index, pool: ticketPool, query: analyse("", "vpn")}
		stats, err := readStatistics(ctx, tx, tenant, &q)
		require.NoError(t, err)
		require.Empty(t, stats.fresh)
		folded := corpusOf(stats.segments).documents
		require.GreaterOrEqual(t, folded, 101)
		frequency, err := q.frequencies(ctx, tx, tenant, stats)
		require.Equal(t, folded, frequency[hash("vpn")], "every document has the word")
		return err
	}))
}

// TestASearchMeetsAFold shows why a search counts the segments after it has read of them: what it would otherwise take for
// segments without its terms, and remember as such, are segments that are gone.
func TestASearchMeetsAFold(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("1"))
	foldAll(t, s, tenant)
	require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		q := search{index: s.index, pool: ticketPool, query: analyse("", "vpn")}
		stats, err := readStatistics(ctx, tx, tenant, &q)
		require.NoError(t, err)
		upsert(t, s, tenant, vpnTicket("2"), vpnTicket("3"))
		foldAll(t, s, tenant) // merges the segment that was just listed
		_, err = q.frequencies(ctx, tx, tenant, stats)
		require.ErrorIs(t, err, errFolded)
		_, err = s.index.documents(ctx, tx, tenant, ticketPool, stats.segments[0].SegmentID)
		require.ErrorIs(t, err, errFolded)
		ids, _, err := q.candidates(ctx, tx, tenant)
		require.Len(t, ids, 3, "it begins again")
		return err
	}))
}

// TestSearchesRememberSegments takes the postings away: what was read is not read again, and what was not is missing.
func TestSearchesRememberSegments(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("1"))
	foldAll(t, s, tenant)
	require.Len(t, similar(t, s, tenant, Query{Subject: "VPN error 809"}), 1)
	require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM search_postings WHERE tenant_id = $1`, tenant)
		return err
	}))
	require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "VPN error 809"}))
	require.Empty(t, similar(t, s, tenant, Query{Subject: "update of this morning"}))
	require.Empty(t, similar(t, s, "other", Query{Subject: "VPN error 809"}), "another tenant sees no segment, so nothing that is remembered")
	require.NoError(t, s.Purge(t.Context(), tenant))
	require.Empty(t, similar(t, s, tenant, Query{Subject: "VPN error 809"}), "nor does anybody after a purge")
}

func TestALateIndexIsFoldedByASearch(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		tickets := make([]Ticket, lateAt)
		for i := range tickets {
			tickets[i] = Ticket{ID: fmt.Sprint(i), Subject: "VPN", Source: "sync"}
		}
		batch, err := prepare(tickets)
		require.NoError(t, err)
		_, err = upsertTickets(ctx, tx, tenant, batch)
		return err
	}))
	_, err := s.SearchSimilar(t.Context(), tenant, Query{Subject: "VPN"})
	require.NoError(t, err)
	require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
		stats, err := readStatistics(ctx, tx, tenant, &search{pool: ticketPool})
		require.Empty(t, stats.fresh)
		require.Equal(t, lateAt, corpusOf(stats.segments).documents)
		return err
	}))
}

// TestSearchesUseTheirIndexUnderRowLevelSecurity guards the reason for this design: a plan that filters a tenant's rows one
// by one is right and slow.
func TestSearchesUseTheirIndexUnderRowLevelSecurity(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	upsert(t, s, tenant, vpnTicket("1"))
	foldAll(t, s, tenant)
	plan := func(sql string, args ...any) string {
		var lines []string
		require.NoError(t, s.db.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "EXPLAIN "+sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
			require.NoError(t, err)
			lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		}))
		return strings.Join(lines, "\n")
	}
	require.Regexp(t, `Index Cond: .*segment_id = q.segment_id.*term = q.term`, plan(selectTerms, tenant, ticketPool, []int64{1, 1}, []int64{1, 2}, false))
	require.Regexp(t, `Index Cond: .*document_id = q.id`, plan(selectCandidates, tenant, ticketPool, []int64{1, 2}))
	require.NotRegexp(t, `Index Cond: .*ts_vector`, plan(`SELECT FROM ticket_history WHERE tenant_id = $1 AND to_tsvector('simple', subject) @@ 'vpn'`, tenant),
		"the negative case: full-text search filters")
}

func TestTicketsPastTheirRetentionGo(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	old, young := vpnTicket("1"), vpnTicket("2")
	old.ResolvedAt, young.ResolvedAt = time.Now().AddDate(-3, 0, 0), time.Now().AddDate(0, -1, 0)
	upsert(t, s, tenant, old, young)
	upsert(t, s, "other", old)
	before := time.Now().AddDate(-1, 0, 0)
	counted, err := s.Expire(t.Context(), tenant, before, true)
	require.NoError(t, err)
	require.EqualValues(t, 1, counted)
	require.ElementsMatch(t, []string{"1", "2"}, similar(t, s, tenant, Query{Subject: "VPN error 809"}), "a dry run changes nothing")
	deleted, err := s.Expire(t.Context(), tenant, before, false)
	require.NoError(t, err)
	require.EqualValues(t, 1, deleted)
	require.Equal(t, []string{"2"}, similar(t, s, tenant, Query{Subject: "VPN error 809"}))
	require.Equal(t, []string{"1"}, similar(t, s, "other", Query{Subject: "VPN error 809"}), "another tenant keeps its own")
}
