package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"aiagents/app/housekeeping"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world stands for all neighbours. What a test does not set is empty.
type world struct {
	TenantChanges
	TenantSecrets
	Previews
	ConnectionTest

	now      time.Time
	listings []tenant.Listing
	runs     map[string][]enhancement.Summary
	stats    map[string]enhancement.Statistics
	audit    map[string][]tenant.AuditEntry
	paused   map[string]notifier.ConnectionState
	broken   string // the tenant that cannot be read
	gate     chan struct{}
	asked    atomic.Int64

	mu              sync.Mutex
	running, widest int
}

func (w *world) clock() time.Time { return w.now }

func (w *world) IDs(context.Context) (ids []string, err error) {
	for _, l := range w.listings {
		ids = append(ids, l.ID)
	}
	return ids, nil
}

func (w *world) ListAfter(_ context.Context, after string, limit int) (out []tenant.Listing, _ error) {
	for _, l := range w.listings {
		if l.ID > after && (limit == 0 || len(out) < limit) {
			out = append(out, l)
		}
	}
	return out, nil
}

func (w *world) Fresh(_ context.Context, id string) (tenant.Tenant, error) {
	for _, l := range w.listings {
		if l.ID == id {
			return tenant.Tenant{ID: id, DisabledAt: l.DisabledAt}, nil
		}
	}
	return tenant.Tenant{}, fault.New(fault.NotFound, "no")
}

func (w *world) AuditedIDs(ctx context.Context) ([]string, error) { return w.IDs(ctx) }

func (w *world) Audit(_ context.Context, id string, f tenant.AuditFilter) (out []tenant.AuditEntry, _ error) {
	for _, e := range w.audit[id] {
		if f.AfterAt.IsZero() || newestFirst(f.AfterAt, e.At, uuid.MustParse(f.AfterID), uuid.MustParse(e.ID)) < 0 {
			out = append(out, e)
		}
	}
	return out[:min(len(out), f.Limit)], nil
}

func (w *world) RecordTx(context.Context, pgx.Tx, string, string, string, map[string]any) error {
	return nil
}

func (w *world) Statistics(_ context.Context, id string, _, _ time.Time, _ time.Duration) (enhancement.Statistics, error) {
	w.asked.Add(1)
	w.mu.Lock()
	w.running++
	w.widest = max(w.widest, w.running)
	w.mu.Unlock()
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	if id == w.broken {
		return enhancement.Statistics{}, errors.New("no route to a secret place")
	}
	return w.stats[id], nil
}

func (w *world) Storms(context.Context, string) ([]enhancement.StormGroup, error) { return nil, nil }

func (w *world) Costs(context.Context, string, time.Time, time.Time) ([]enhancement.CostLine, error) {
	return []enhancement.CostLine{{Model: "m", PromptTokens: 10, CompletionTokens: 5, CostUSD: 0.25}}, nil
}

func (w *world) ConnectionState(_ context.Context, id string) (notifier.ConnectionState, error) {
	return w.paused[id], nil
}

func (w *world) Resume(context.Context, string) error { return nil }

func (w *world) Queue(context.Context) ([]QueueState, error) {
	return []QueueState{{State: "available", Depth: 3, OldestAgeSeconds: 90}}, nil
}

func (w *world) Workers(context.Context) ([]Worker, error) {
	return []Worker{{ID: "w", Alive: false}}, nil
}

func (w *world) InTenantTx(ctx context.Context, _ string, fn func(context.Context, pgx.Tx) error) error {
	return fn(ctx, nil)
}

// chores is a program with one periodic task.
type chores struct{}

func (chores) List(context.Context) ([]housekeeping.Status, error) {
	return []housekeeping.Status{{Task: "retain_history"}}, nil
}

func (chores) Run(_ context.Context, task string, dryRun bool) (housekeeping.Run, error) {
	return housekeeping.Run{Task: task, DryRun: dryRun}, nil
}

// runsOf serves the runs: world itself lists tenants under that name.
type runsOf struct{ w *world }

func (r runsOf) List(_ context.Context, id string, f enhancement.Filter) (out []enhancement.Summary, _ error) {
	for _, e := range r.w.runs[id] {
		if f.After.CreatedAt.IsZero() || newestFirst(f.After.CreatedAt, e.CreatedAt, f.After.ID, e.ID) < 0 {
			out = append(out, e)
		}
	}
	return out[:min(len(out), f.Limit)], nil
}

func (r runsOf) Show(_ context.Context, id string, run uuid.UUID) (enhancement.Detail, error) {
	for _, e := range r.w.runs[id] {
		if e.ID == run {
			return enhancement.Detail{Summary: e}, nil
		}
	}
	return enhancement.Detail{}, fault.New(fault.NotFound, "no")
}

func (r runsOf) RetryTx(context.Context, pgx.Tx, string, uuid.UUID) error { return nil }

func (w *world) service(t *testing.T) *Service {
	t.Helper()
	if w.now.IsZero() {
		w.now = time.Date(2026, 11, 23, 9, 0, 30, 0, time.UTC)
	}
	s, err := New(Deps{
		DB: w, Tenants: w, TenantChanges: w, TenantSecrets: w, Audit: w, Runs: runsOf{w}, Previews: w, Figures: w, Desks: w,
		ConnectionTest: w, Queue: w, Housekeeping: chores{}, Clock: w.clock,
	}, DefaultConfig())
	require.NoError(t, err)
	return s
}

func manyTenants(n int) (list []tenant.Listing) {
	for i := range n {
		list = append(list, tenant.Listing{ID: fmt.Sprintf("t%02d", i), HasAPIKey: true})
	}
	return list
}

func TestMissingNeighboursAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{Clock: time.Now}, DefaultConfig())
	require.ErrorContains(t, err, "missing Audit, ConnectionTest, DB, Desks, Figures, Housekeeping, Previews, Queue, Runs, TenantChanges, TenantSecrets, Tenants")
}

// One list of all tenants' runs, in pages, must hold each run once, whatever moments they share.
func TestPagesAcrossTenantsHoldEveryRunOnce(t *testing.T) {
	t.Parallel()
	w := &world{listings: manyTenants(5), runs: map[string][]enhancement.Summary{}, audit: map[string][]tenant.AuditEntry{}}
	start := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	want := map[string]bool{}
	for i, l := range w.listings {
		for j := range 13 + i {
			at, id := start.Add(time.Duration(j%4)*time.Minute), uuid.New()
			w.runs[l.ID] = append(w.runs[l.ID], enhancement.Summary{ID: id, TenantID: l.ID, CreatedAt: at, Status: "completed"})
			w.audit[l.ID] = append(w.audit[l.ID], tenant.AuditEntry{ID: id.String(), At: at})
			want[id.String()] = true
		}
		slices.SortFunc(w.runs[l.ID], func(a, b enhancement.Summary) int { return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID) })
		slices.SortFunc(w.audit[l.ID], func(a, b tenant.AuditEntry) int {
			return newestFirst(a.At, b.At, uuid.MustParse(a.ID), uuid.MustParse(b.ID))
		})
	}
	s := w.service(t)
	got, f := map[string]bool{}, EnhancementFilter{Limit: 4}
	for {
		page, err := s.Enhancements(t.Context(), f)
		require.NoError(t, err)
		for _, e := range page.Items {
			require.False(t, got[e.ID.String()], "%s comes twice", e.ID)
			got[e.ID.String()] = true
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
		require.Len(t, page.Items, 4)
	}
	require.Equal(t, want, got)

	got = map[string]bool{}
	g := AuditFilter{Limit: 7}
	for {
		page, err := s.Audit(t.Context(), g)
		require.NoError(t, err)
		for _, e := range page.Items {
			require.False(t, got[e.ID])
			got[e.ID] = true
		}
		if g.Cursor = page.NextCursor; g.Cursor == "" {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestTenantsComeInPagesToo(t *testing.T) {
	t.Parallel()
	s := (&world{listings: manyTenants(10)}).service(t)
	var got []string
	for cursor := ""; ; {
		page, err := s.TenantPage(t.Context(), 3, cursor)
		require.NoError(t, err)
		for _, l := range page.Items {
			got = append(got, l.ID)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	require.Equal(t, []string{"t00", "t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09"}, got)
	_, err := s.TenantPage(t.Context(), 201, "%")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Len(t, f.Details, 2)
}

func TestWhatCannotBeListedIsNamed(t *testing.T) {
	t.Parallel()
	s := (&world{listings: manyTenants(1)}).service(t)
	_, err := s.Enhancements(t.Context(), EnhancementFilter{Status: "x", Outcome: "y", Limit: 201, Cursor: "%"})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Invalid, f.Kind)
	require.Len(t, f.Details, 4)
	_, err = s.Enhancements(t.Context(), EnhancementFilter{TenantID: "nobody"})
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = s.Audit(t.Context(), AuditFilter{Limit: -1})
	require.True(t, fault.Is(err, fault.Invalid))
	for _, text := range []string{"e30", "bnVsbA", "AAAA", "W10"} { // {}, null, bytes, []
		_, err := s.Enhancements(t.Context(), EnhancementFilter{Cursor: text})
		require.True(t, fault.Is(err, fault.Invalid), text)
	}
}

func TestAnOverviewAddsUpTenantsAFewAtATime(t *testing.T) {
	t.Parallel()
	w := &world{listings: manyTenants(20), stats: map[string]enhancement.Statistics{}, gate: make(chan struct{})}
	s := w.service(t)
	since, until, step, err := Hour.span(w.now)
	require.NoError(t, err)
	for _, l := range w.listings {
		series := emptySeries(since, until, step)
		series[3].Outcomes["note"], series[3].Outcomes["failed"], series[59].Outcomes[""] = 2, 1, 1
		series[3].Durations[100] = 2
		w.stats[l.ID] = enhancement.Statistics{Series: series}
	}
	w.broken = "t07"
	close(w.gate)
	o, err := s.Overview(t.Context(), Hour)
	require.NoError(t, err)
	require.Equal(t, Counts{Received: 19 * 4, Note: 38, Failed: 19, Pending: 19}, o.Counts)
	require.InDelta(t, 2.0/3, *o.Rates.Success, 1e-9)
	require.Equal(t, 38, o.Series[3].Note)
	require.Equal(t, 19, o.Series[59].Pending)
	require.LessOrEqual(t, w.widest, DefaultConfig().Parallel)
	i := slices.IndexFunc(o.Tenants, func(l TenantLine) bool { return l.ID == "t07" })
	require.Equal(t, Unknown, o.Tenants[i].State)
	require.NotContains(t, o.Tenants[i].Reason, "secret place", "a cause is for the log")
	require.Len(t, o.Problems, 2, "no worker, and a job that waits")
	require.Contains(t, o.Problems[0].What, "No worker is alive")
}

func TestOverviewsAreSharedAndKeptForSomeSeconds(t *testing.T) {
	t.Parallel()
	w := &world{listings: manyTenants(1), gate: make(chan struct{})}
	s := w.service(t)
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			_, err := s.Overview(context.Background(), Hour)
			require.NoError(t, err)
		})
	}
	require.Eventually(t, func() bool { return w.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Overview(gone, Hour)
	require.ErrorIs(t, err, context.Canceled, "who goes away does not wait")
	close(w.gate)
	askers.Wait()
	before := w.asked.Load()
	_, err = s.Overview(t.Context(), Hour)
	require.NoError(t, err)
	require.Equal(t, before, w.asked.Load())
	w.now = w.now.Add(6 * time.Second)
	_, err = s.Overview(t.Context(), Hour)
	require.NoError(t, err)
	require.Equal(t, before+1, w.asked.Load())
	_, err = s.Overview(t.Context(), "2h")
	require.True(t, fault.Is(err, fault.Invalid))
}

func TestATenantsStateHasAReasonAndAWayOut(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	failed := func(code, text string) *enhancement.LastRun {
		return &enhancement.LastRun{Outcome: "failed", ErrorCode: code, Error: text}
	}
	for name, c := range map[string]struct {
		listing tenant.Listing
		stats   enhancement.Statistics
		desk    notifier.ConnectionState
		counts  Counts
		state   State
		reason  string
		next    string
	}{
		"well":                    {counts: Counts{Note: 10}, state: OK},
		"nothing happened":        {state: OK},
		"one old failure of many": {counts: Counts{Note: 50, Failed: 1}, state: OK},
		"disabled":                {listing: tenant.Listing{DisabledAt: ago(time.Hour)}, counts: Counts{Failed: 1}, state: Disabled, reason: "Disabled since 2026-11-23 08:00 UTC", next: "Enable"},
		"no key":                  {listing: tenant.Listing{ID: "nokey"}, state: Failing, reason: "no key", next: "Set the key"},
		"paused": {
			desk: notifier.ConnectionState{Paused: true, Since: *ago(time.Hour), Reason: "the key was refused"}, counts: Counts{Failed: 9},
			state: Paused, reason: "the key was refused", next: "new key",
		},
		"one waits for too long": {
			stats: enhancement.Statistics{OldestPending: ago(11 * time.Minute), PendingError: "the desk is down"}, state: Failing, reason: "the desk is down", next: "waits for",
		},
		"one waits, nobody knows why": {stats: enhancement.Statistics{OldestPending: ago(time.Hour)}, state: Failing, reason: "waits for its note", next: "workers"},
		"one is under way":            {stats: enhancement.Statistics{OldestPending: ago(time.Minute)}, state: OK},
		"the last one failed": {
			stats: enhancement.Statistics{Last: failed("DESK_FORBIDDEN", "the desk says no")}, counts: Counts{Note: 50, Failed: 1},
			state: Failing, reason: "1 of 51 runs failed; the last one: the desk says no.", next: "role",
		},
		"many failed": {counts: Counts{Note: 5, Failed: 5}, state: Failing, reason: "5 of 10 runs failed.", next: "enhancement list --tenant acme"},
	} {
		if c.listing.ID != "nokey" {
			c.listing.ID, c.listing.HasAPIKey = "acme", true
		}
		state, reason, next := judge(c.listing, c.stats, c.desk, TenantLine{Counts: c.counts}, now)
		require.Equal(t, c.state, state, name)
		require.Contains(t, reason, c.reason, name)
		require.Contains(t, next, c.next, name)
		if state == OK {
			require.Empty(t, reason+next, name)
		}
	}
}

func TestEveryReasonOfAFactsOnlyNoteIsExplained(t *testing.T) {
	t.Parallel()
	for _, reason := range evidence.Reasons() {
		e := explain(enhancement.Summary{Status: "completed", Outcome: "facts_only", Reason: string(reason)})
		require.NotContains(t, e.Text, string(reason)+".", "%s has no words of its own", reason)
		require.Greater(t, len(e.Text), len("A facts-only note was written: "))
	}
}

// Every code that a run can end with has advice, but for those whose message says it all.
func TestEveryCodeOfTheDeskHasAdvice(t *testing.T) {
	t.Parallel()
	enough := map[string]bool{"FENCED": true} // is no failure: another worker has the run
	found := 0
	files, err := os.ReadDir("../../modules/notifier")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file.Name(), "_test.go") || !strings.HasSuffix(file.Name(), ".go") {
			continue
		}
		source, err := os.ReadFile("../../modules/notifier/" + file.Name())
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`WithCode\("([A-Z_]+)"\)`).FindAllStringSubmatch(string(source), -1) {
			found++
			if !enough[m[1]] {
				require.NotEmpty(t, Advice(m[1]), "%s of %s", m[1], file.Name())
			}
		}
	}
	require.Greater(t, found, 10, "the test must have seen the codes")
}

func TestARunIsExplainedInPlainWords(t *testing.T) {
	t.Parallel()
	text := "the desk is down"
	for want, e := range map[string]enhancement.Summary{
		"It waits for a worker.":              {Status: "pending"},
		"A worker is at it.":                  {Status: "pending", Attempts: 1},
		"It waits: the desk is down.":         {Status: "pending", ErrorMessage: &text, Attempts: 1},
		"It failed: the desk is down.":        {Status: "failed", ErrorMessage: &text},
		"It got no note: the rule says so.":   {Status: "completed", Outcome: "skipped", Reason: "the rule says so"},
		"The note was written.":               {Status: "completed", Outcome: "note"},
		"The resolution was kept for search.": {Status: "completed", Outcome: "recorded"},
	} {
		require.Equal(t, want, explain(e).Text)
	}
	require.NotEmpty(t, explain(enhancement.Summary{Status: "failed"}).Next)
}

func TestATimelineAddsUp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	started, done, took := at.Add(50*time.Millisecond), at.Add(900*time.Millisecond), 900
	d := enhancement.Detail{
		Summary:   enhancement.Summary{CreatedAt: at, CompletedAt: &done, Attempts: 1, Outcome: "note", ProcessingTimeMs: &took, NoteID: "n-1"},
		StartedAt: &started, Timings: map[string]int64{"gather_ms": 200, "model_ms": 500, "post_ms": 100},
		Context: &evidence.Bundle{Sources: []evidence.SourceReport{
			{Name: "inventory", Outcome: evidence.Found, Found: 2, Duration: 5 * time.Millisecond},
			{Name: "monitoring", Outcome: evidence.TimedOut, Reason: "no answer", Duration: 200 * time.Millisecond},
		}},
		Answer: &evidence.Answer{Mode: evidence.Full}, Calls: []enhancement.CallRecord{{Model: "m", DurationMs: 300}, {Model: "m", DurationMs: 200}},
	}
	steps := timeline(d)
	var names []string
	offsets := map[string]int64{}
	for _, s := range steps {
		names = append(names, s.Name)
		if s.OffsetMs != nil {
			offsets[s.Name] = *s.OffsetMs
		}
	}
	require.Equal(t, []string{"received", "queue", "gather", "inventory", "monitoring", "model", "call", "call", "post", "finished"}, names)
	require.Equal(t, map[string]int64{
		"received": 0, "queue": 0, "gather": 50, "inventory": 50, "monitoring": 50, "model": 250, "call": 550, "post": 750, "finished": 900,
	}, offsets)

	d.Attempts = 2
	for _, s := range timeline(d) {
		if s.Name == "gather" || s.Name == "model" || s.Name == "post" {
			require.Nil(t, s.OffsetMs, "%s: when a repeated part began is not known", s.Name)
			require.NotNil(t, s.DurationMs)
		}
	}
}

func TestOnlyDryRunsOfHousekeepingAreOffered(t *testing.T) {
	t.Parallel()
	s := (&world{}).service(t)
	run, err := s.HousekeepingDryRun(t.Context(), "retain_history")
	require.NoError(t, err)
	require.Equal(t, housekeeping.Run{Task: "retain_history", DryRun: true}, run)
	list, err := s.Housekeeping(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestCostsHaveASpan(t *testing.T) {
	t.Parallel()
	w := &world{listings: manyTenants(3)}
	s := w.service(t)
	c, err := s.Costs(t.Context(), "", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.InDelta(t, 0.75, c.CostUSD, 1e-9)
	require.EqualValues(t, 45, c.Tokens)
	require.Equal(t, time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), c.Since)
	_, err = s.Costs(t.Context(), "", w.now, w.now)
	require.True(t, fault.Is(err, fault.Invalid))
	_, err = s.Costs(t.Context(), "", w.now.AddDate(-2, 0, 0), w.now)
	require.True(t, fault.Is(err, fault.Invalid))
}
