package enhancement

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// past is a run that ended some time ago.
type past struct {
	id        uuid.UUID
	ticket    string
	status    string
	outcome   string
	ms        int
	createdAt time.Time
}

// keep inserts runs of acme as they would stand there.
func (b *testBundle) keep(t *testing.T, runs ...past) {
	t.Helper()
	require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		for i, r := range runs {
			_, err := tx.Exec(ctx, `
				INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference, status, outcome, subject,
				                                 processing_time_ms, created_at, completed_at)
				VALUES ('acme', $1, $2, 'ticket_created', $3, 'AIA-X', $4::text, $5, 'VPN error 809 again', nullif($6, 0), $7::timestamptz,
				        CASE WHEN $4 = 'pending' THEN NULL ELSE $7::timestamptz + interval '1 second' END)`,
				r.id, binary.BigEndian.AppendUint32(r.id[:], uint32(i)), r.ticket, r.status, r.outcome, r.ms, r.createdAt)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func manyRuns(now time.Time, n int) []past {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []past{
		{status: "completed", outcome: "note"},
		{status: "completed", outcome: "note"},
		{status: "completed", outcome: "facts_only"},
		{status: "completed", outcome: "skipped"},
		{status: "failed", outcome: "failed"},
		{status: "pending"},
	}
	runs := make([]past, n)
	for i := range runs {
		runs[i] = kinds[r.IntN(len(kinds))]
		runs[i].id = uuid.New()
		runs[i].ticket = fmt.Sprint(i)
		// Moments are shared, so that order by time alone is no order.
		runs[i].createdAt = now.Add(-time.Duration(r.IntN(120)) * time.Minute)
		if runs[i].status != "pending" {
			runs[i].ms = 50 + r.IntN(90_000)
		}
	}
	return runs
}

func TestStatisticsAgreeWithCounting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now().UTC().Truncate(time.Minute)
	runs := manyRuns(now, 600)
	b.keep(t, runs...)
	since := now.Add(-59 * time.Minute)
	until := since.Add(time.Hour)
	s, err := b.Statistics(t.Context(), "acme", since, until, time.Minute)
	require.NoError(t, err)
	require.Len(t, s.Series, 60)

	var took []int
	counted := map[string]int{}
	perMinute := make([]map[string]int, 60)
	pending, oldest := 0, now
	for _, r := range runs {
		if r.status == "pending" {
			pending++
			if r.createdAt.Before(oldest) {
				oldest = r.createdAt
			}
		}
		if r.createdAt.Before(since) || !r.createdAt.Before(until) {
			continue
		}
		counted[r.outcome]++
		place := int(r.createdAt.Sub(since) / time.Minute)
		if perMinute[place] == nil {
			perMinute[place] = map[string]int{}
		}
		perMinute[place][r.outcome]++
		if r.outcome == "note" || r.outcome == "facts_only" {
			took = append(took, r.ms)
		}
	}
	all, sums := Durations{}, map[string]int{}
	for i, in := range s.Series {
		require.Equal(t, since.Add(time.Duration(i)*time.Minute), in.Start)
		if len(in.Outcomes) > 0 || len(perMinute[i]) > 0 {
			require.Equal(t, perMinute[i], in.Outcomes, "minute %d", i)
		}
		for outcome, n := range in.Outcomes {
			sums[outcome] += n
		}
		all.Add(in.Durations)
	}
	require.Equal(t, counted, sums)
	require.Equal(t, pending, s.Pending)
	require.WithinDuration(t, oldest, *s.OldestPending, 0)

	slices.Sort(took)
	require.Equal(t, len(took), all.Count())
	for _, p := range []float64{0.5, 0.95, 0.99, 1} {
		exact := float64(took[max(int(float64(len(took))*p+0.999999)-1, 0)])
		require.InEpsilon(t, exact, float64(all.Percentile(p).Milliseconds()), 0.051, "percentile %v", p)
	}
	require.Zero(t, Durations{}.Percentile(0.5))

	none, err := b.Statistics(t.Context(), "other", since, until, time.Minute)
	require.NoError(t, err)
	require.Zero(t, none.Pending)
	require.Nil(t, none.Last)
	for _, in := range none.Series {
		require.Empty(t, in.Outcomes, "another tenant's runs do not count")
	}
}

func TestTheLastRunTellsHowItEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now().UTC()
	run := func(ago time.Duration, outcome string) past {
		status := "completed"
		if outcome == "failed" {
			status = outcome
		}
		return past{id: uuid.New(), ticket: outcome, status: status, outcome: outcome, ms: 1, createdAt: now.Add(-ago)}
	}
	b.keep(t, run(30*time.Minute, "note"), run(20*time.Minute, "failed"), run(10*time.Minute, "skipped"))
	s, err := b.Statistics(t.Context(), "acme", now.Add(-time.Hour), now, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "failed", s.Last.Outcome, "a skipped ticket says nothing about notes")
	require.WithinDuration(t, now.Add(-30*time.Minute+time.Second), *s.LastNoteAt, time.Millisecond)
}

// Pages must neither repeat nor lose a run, whatever moments the runs share.
func TestPagesGoOnWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	runs := manyRuns(time.Now().UTC().Truncate(time.Minute), 300)
	b.keep(t, runs...)
	for name, f := range map[string]Filter{
		"all": {}, "failed": {Status: "failed"}, "completed": {Status: "completed"}, "notes": {Outcome: "note"},
		"a span": {Since: time.Now().Add(-90 * time.Minute), Until: time.Now().Add(-10 * time.Minute)},
	} {
		want := map[uuid.UUID]bool{}
		for _, r := range runs {
			if (f.Status == "" || r.status == f.Status) && (f.Outcome == "" || r.outcome == f.Outcome) &&
				(f.Since.IsZero() || !r.createdAt.Before(f.Since)) && (f.Until.IsZero() || r.createdAt.Before(f.Until)) {
				want[r.id] = true
			}
		}
		require.NotEmpty(t, want, name)
		got := map[uuid.UUID]bool{}
		f.Limit = 7
		for {
			page, err := b.List(t.Context(), "acme", f)
			require.NoError(t, err)
			for _, e := range page {
				require.False(t, got[e.ID], "%s: %s comes twice", name, e.ID)
				got[e.ID] = true
			}
			if len(page) < f.Limit {
				break
			}
			last := page[len(page)-1]
			f.After = Position{CreatedAt: last.CreatedAt, ID: last.ID}
		}
		require.Equal(t, want, got, name)
	}
	one, err := b.List(t.Context(), "acme", Filter{TicketID: "17"})
	require.NoError(t, err)
	require.Len(t, one, 1)
}

// What operators' pages ask is answered by indexes, under row-level security and as the app role.
func TestOperatorsQuestionsAreServedByIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.keep(t, manyRuns(time.Now().UTC(), 3000)...)
	conn, err := pgx.Connect(t.Context(), b.db.AdminURL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `VACUUM ANALYZE enhancement_history`)
	require.NoError(t, err)
	where, args := Filter{After: Position{CreatedAt: time.Now(), ID: uuid.New()}}.conditions("acme")
	failed, failedArgs := Filter{Status: "failed"}.conditions("acme")
	ticket, ticketArgs := Filter{TicketID: "17"}.conditions("acme")
	const list, order = `SELECT ` + summaryColumns + ` FROM enhancement_history WHERE `, ` ORDER BY created_at DESC, id DESC LIMIT 50`
	for _, q := range []struct {
		sql  string
		args []any
		plan string
	}{
		{seriesSQL, []any{"acme", time.Now().Add(-time.Hour), time.Now(), 60.0}, "Index Only Scan using enhancement_history_statistics"},
		{list + where + order, args, "Index Scan Backward using enhancement_history_statistics"},
		{list + failed + order, failedArgs, "using enhancement_history_failed"},
		{list + ticket + order, ticketArgs, "using enhancement_history_ticket"},
	} {
		require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			// A table of this size is sooner read as a whole; the question is whether the index can serve.
			_, err := tx.Exec(ctx, `SELECT set_config(s, 'off', true) FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan']) s`)
			require.NoError(t, err)
			rows, err := tx.Query(ctx, "EXPLAIN "+q.sql, q.args...)
			require.NoError(t, err)
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.Contains(t, strings.Join(lines, "\n"), q.plan)
			return err
		}))
	}
}

func TestStormsAreGroupsOfSimilarTickets(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var recent []recentTicket
	add := func(n int, text string) {
		for i := range n {
			recent = append(recent, recentTicket{
				ID: uuid.New(), TicketID: fmt.Sprint(len(recent)), Subject: text, Text: fmt.Sprintf("%s seat %d", text, i),
				CreatedAt: now.Add(-time.Duration(len(recent)) * time.Second),
			})
		}
	}
	add(25, "VPN error 809 cannot connect")
	add(4, "Printer offline second floor")
	add(3, "Password expired locked account")
	storms := groupAlike(recent)
	require.Len(t, storms, 2, "three alike are no storm yet")
	require.Equal(t, 25, storms[0].Count)
	require.Len(t, storms[0].Tickets, stormGroupShown)
	require.Equal(t, "VPN error 809 cannot connect", storms[0].Subject)
	require.Equal(t, now, storms[0].Last)
	require.Equal(t, 24*time.Second, storms[0].Last.Sub(storms[0].First))
	require.Equal(t, 4, storms[1].Count)
	require.Empty(t, groupAlike(nil))
}

func TestStormsAreReadFromTheTenantsOwnTickets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.keep(t, past{id: uuid.New(), ticket: fmt.Sprint(i), status: "completed", outcome: "note", ms: 1, createdAt: time.Now()})
	}
	storms, err := b.Storms(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, storms, 1)
	require.Equal(t, 5, storms[0].Count)
	storms, err = b.Storms(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, storms)
}

func TestCostsAddUpByDayAndModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := past{id: uuid.New(), ticket: "1", status: "completed", outcome: "note", ms: 1, createdAt: time.Now()}
	b.keep(t, run)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	call := func(at time.Time, model string, tokens int) {
		require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO model_calls (tenant_id, enhancement_id, model, outcome, prompt_tokens, completion_tokens, cost_usd, created_at)
				VALUES ('acme', $1, $2, 'ok', $3, 1, 0.5, $4)`, run.id, model, tokens, at)
			return err
		}))
	}
	call(day, "m1", 10)
	call(day.Add(24*time.Hour-time.Microsecond), "m1", 20)
	call(day.Add(time.Hour), "m2", 5)
	call(day.Add(24*time.Hour), "m1", 7)
	call(day.Add(-time.Microsecond), "m1", 100)
	lines, err := b.Costs(t.Context(), "acme", day, day.Add(48*time.Hour))
	require.NoError(t, err)
	for i := range lines {
		lines[i].Day = lines[i].Day.UTC()
	}
	require.Equal(t, []CostLine{
		{Day: day, Model: "m1", Calls: 2, PromptTokens: 30, CompletionTokens: 2, CostUSD: 1},
		{Day: day, Model: "m2", Calls: 1, PromptTokens: 5, CompletionTokens: 1, CostUSD: 0.5},
		{Day: day.Add(24 * time.Hour), Model: "m1", Calls: 1, PromptTokens: 7, CompletionTokens: 1, CostUSD: 0.5},
	}, lines)
	lines, err = b.Costs(t.Context(), "other", day, day.Add(48*time.Hour))
	require.NoError(t, err)
	require.Empty(t, lines)
}

func TestAFailureKeepsItsCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.err = fault.New(fault.Forbidden, "no").WithCode("DESK_FORBIDDEN")
	id := b.deliver(t, Delivery{TenantID: "acme", Key: []byte("k"), Event: eventCreated, TicketID: "1"}).ID
	require.Error(t, b.attempt(t, id))
	d := b.show(t, id)
	require.Equal(t, "failed", d.Status)
	require.Equal(t, "DESK_FORBIDDEN", d.ErrorCode)
	require.NoError(t, b.Retry(t.Context(), "acme", id))
	require.Empty(t, b.show(t, id).ErrorCode)
	b.desk.err = context.DeadlineExceeded
	require.Error(t, b.attempt(t, id))
	require.Equal(t, "ATTEMPT_TIMED_OUT", b.show(t, id).ErrorCode)
}
