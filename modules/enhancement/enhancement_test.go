package enhancement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/synthesis"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// bundle is a module on a real database and queue, with neighbours that do as they are told.
type testBundle struct {
	*Module
	db     *dbtest.Database
	client *river.Client[pgx.Tx]
	desk   *fakeDesk
	notes  *fakeNotes
	model  *fakeModel
	search *fakeSearch
	tenant *fakeTenants
}

type lateClient struct{ *river.Client[pgx.Tx] }

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{
		db: dbtest.New(t), desk: &fakeDesk{}, notes: &fakeNotes{}, model: &fakeModel{}, search: &fakeSearch{},
		tenant: &fakeTenants{prefs: Preferences{Language: "en", CanFetch: true}},
	}
	late := &lateClient{}
	module, err := New(Deps{
		TenantLabel: func(string) (string, bool) { return "", false },
		DB:          b.db, Queue: late, Desk: b.desk, Notes: b.notes, Tenants: b.tenant, Similar: b.search, Articles: b.search,
		Systems: b.search, Documents: b.search, Monitoring: b.search, Resolutions: b.search, Model: b.model, Logger: slog.New(slog.DiscardHandler),
		Tracer: noop.NewTracerProvider().Tracer(""), Clock: time.Now, TraceMetadata: func(context.Context) []byte { return nil },
	}, DefaultConfig())
	require.NoError(t, err)
	b.Module = module
	workers := river.NewWorkers()
	module.Register(workers)
	late.Client, err = river.NewClient(riverpgxv5.New(b.db.Pool()), &river.Config{Workers: workers})
	require.NoError(t, err)
	b.client = late.Client
	return b
}

// deliver receives a delivery in a transaction of its own.
func (b *testBundle) deliver(t *testing.T, d Delivery) Receipt {
	t.Helper()
	var r Receipt
	require.NoError(t, b.db.InTenantTx(t.Context(), d.TenantID, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		r, err = b.ReceiveTx(ctx, tx, d)
		return err
	}))
	return r
}

// enhance takes a delivery through one attempt, without a queue around it.
func (b *testBundle) attempt(t *testing.T, id uuid.UUID) error {
	t.Helper()
	r, err := b.claim(t.Context(), runID{"acme", id})
	require.NoError(t, err)
	if r == nil {
		return nil
	}
	return b.settle(t.Context(), r, b.run(t.Context(), r, noJob{}))
}

func (b *testBundle) show(t *testing.T, id uuid.UUID) Detail {
	t.Helper()
	d, err := b.Show(t.Context(), "acme", id)
	require.NoError(t, err)
	return d
}

func (b *testBundle) jobs(t *testing.T) int {
	t.Helper()
	var n int
	require.NoError(t, b.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river_job`).Scan(&n))
	return n
}

// noJob stands for the job where a test calls the pipeline by itself.
type noJob struct{}

func (noJob) completeTx(context.Context, pgx.Tx) error { return nil }

type fakeDesk struct {
	ticket DeskTicket
	err    error
	calls  int
}

func (f *fakeDesk) Ticket(context.Context, string, string) (DeskTicket, error) {
	f.calls++
	return f.ticket, f.err
}

type fakeNotes struct {
	mu     sync.Mutex
	errs   []error
	posted []Note
	before func()
}

func (f *fakeNotes) Post(_ context.Context, n Note) (Posted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		f.before()
	}
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			return Posted{}, err
		}
	}
	f.posted = append(f.posted, n)
	return Posted{NoteID: "n-1"}, nil
}

func (f *fakeNotes) RecordPostedTx(context.Context, pgx.Tx, Note, Posted) error { return nil }

type fakeModel struct {
	calls    int
	err      error
	findings synthesis.Result
	step     string
}

func (f *fakeModel) Synthesise(_ context.Context, b evidence.Bundle, _ synthesis.Options) (synthesis.Result, error) {
	f.calls++
	if f.err != nil {
		return synthesis.Result{}, f.err
	}
	answer := synthesis.FactsOnly(b, evidence.ReasonNotConfigured)
	if f.step != "" {
		answer.Steps = []evidence.Step{{Text: f.step, Safety: evidence.ReadOnly}}
	}
	return synthesis.Result{
		Hidden: f.findings.Hidden, Masked: f.findings.Masked, Drops: f.findings.Drops, RetiredModels: f.findings.RetiredModels,
		Answer: answer,
		Calls:  []synthesis.Call{{Model: "gpt-test", Outcome: "ok", Usage: synthesis.Usage{PromptTokens: 100, CompletionTokens: 20}, CostUSD: 0.001}},
	}, nil
}

type fakeSearch struct {
	err     error
	block   chan struct{}
	calls   int
	records []DeskTicket
	mu      sync.Mutex
}

func (f *fakeSearch) SimilarTickets(ctx context.Context, _ string, _ evidence.Ticket) ([]evidence.SimilarTicket, error) {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	if f.block != nil {
		<-f.block
	}
	return []evidence.SimilarTicket{{ID: "T-1", TicketID: "1", Subject: "VPN", Resolution: "restarted", ResolvedAt: time.Now(), Score: .9}}, f.err
}

func (f *fakeSearch) Articles(context.Context, string, evidence.Ticket) ([]evidence.Article, error) {
	return nil, nil
}

func (f *fakeSearch) Documents(context.Context, string, evidence.Ticket) ([]evidence.Article, error) {
	return nil, ErrNotConfigured
}

func (f *fakeSearch) Lookup(context.Context, string, string) ([]evidence.System, error) {
	return nil, nil
}

func (f *fakeSearch) Observe(context.Context, string, []evidence.System, time.Time) ([]evidence.Observation, error) {
	return nil, ErrNotConfigured
}

func (f *fakeSearch) RecordTx(_ context.Context, _ pgx.Tx, _ string, t DeskTicket) error {
	f.records = append(f.records, t)
	return nil
}

type fakeTenants struct{ prefs Preferences }

func (f *fakeTenants) Preferences(context.Context, string) (Preferences, error) { return f.prefs, nil }

func (f *fakeTenants) IDs(context.Context) ([]string, error) { return []string{"acme"}, nil }

func created(key, ticket string) Delivery {
	return Delivery{
		TenantID: "acme", Key: []byte(key), Event: eventCreated, TicketID: ticket,
		Subject: "VPN down", Description: "error 809 from 10.2.3.4", Priority: "high",
	}
}

func TestADeliveryIsRecordedAndQueuedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.deliver(t, created("k1", "4711"))
	require.False(t, first.Duplicate)
	require.Equal(t, 1, b.jobs(t))

	again := b.deliver(t, created("k1", "4711"))
	require.Equal(t, Receipt{ID: first.ID, Duplicate: true}, again)
	require.Equal(t, 1, b.jobs(t), "a duplicate queues nothing")

	boom := errors.New("boom")
	err := b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		_, err := b.ReceiveTx(ctx, tx, created("k2", "4712"))
		require.NoError(t, err)
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, b.jobs(t), "neither row nor job without the commit")
	list, err := b.List(t.Context(), "acme", Filter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestASecondDeliveryAboutATicketIsRecordedAndSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.deliver(t, created("k1", "4711"))
	second := b.deliver(t, created("k2", "4711"))
	require.NotEqual(t, first.ID, second.ID)
	require.False(t, second.Duplicate)
	require.Equal(t, 1, b.jobs(t), "one note a ticket")
	require.Equal(t, "skipped", b.show(t, second.ID).Outcome)
	require.Equal(t, second.ID, b.deliver(t, created("k2", "4711")).ID, "its duplicates are recognised too")
}

func TestEventsThatAreNotActedUponAreRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := created("k1", "4711")
	d.Event = "ticket_updated"
	r := b.deliver(t, d)
	require.Equal(t, 0, b.jobs(t))
	got := b.show(t, r.ID)
	require.Equal(t, "completed", got.Status)
	require.Equal(t, "skipped", got.Outcome)
	require.NotNil(t, got.CompletedAt)
}

func TestARunEndsWithOneNoteAndItsHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, id))
	require.Len(t, b.notes.posted, 1)
	got := b.show(t, id)
	require.Equal(t, "completed", got.Status)
	require.Equal(t, "facts_only", got.Outcome)
	require.Equal(t, "n-1", got.NoteID)
	require.Contains(t, *got.NoteHTML, got.Reference)
	require.Contains(t, b.notes.posted[0].HTML, "T-1")
	require.Len(t, got.Calls, 1)
	require.InDelta(t, 0.001, got.CostUSD, 1e-9)
	require.NotNil(t, got.ProcessingTimeMs)
	require.Equal(t, "T-1", got.Context.Similar[0].ID)
	require.Contains(t, got.Timings, "gather_ms")

	require.NoError(t, b.attempt(t, id), "a second run of the job finds nothing to do")
	require.Len(t, b.notes.posted, 1)
}

func TestARerunPaysForNothingTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.notes.errs = []error{fault.New(fault.Unavailable, "the desk is away")}
	id := b.deliver(t, created("k1", "4711")).ID
	require.Error(t, b.attempt(t, id))
	pending := b.show(t, id)
	require.Equal(t, "pending", pending.Status)
	require.Equal(t, "the desk is away", *pending.ErrorMessage, "an operator sees why it is still pending")

	require.NoError(t, b.attempt(t, id))
	require.Equal(t, 1, b.model.calls)
	require.Equal(t, 1, b.search.calls)
	require.Len(t, b.notes.posted, 1)
	require.Nil(t, b.show(t, id).ErrorMessage)
	require.Equal(t, 2, b.show(t, id).Attempts)
}

func TestAStaleOwnerCanChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.deliver(t, created("k1", "4711")).ID
	stale, err := b.claim(t.Context(), runID{"acme", id})
	require.NoError(t, err)
	fresh, err := b.claim(t.Context(), runID{"acme", id})
	require.NoError(t, err)
	require.Greater(t, fresh.row.Epoch, stale.row.Epoch)

	err = b.run(t.Context(), stale, noJob{})
	require.ErrorIs(t, err, ErrFenced)
	require.NoError(t, b.settle(t.Context(), stale, err), "a stale owner stops silently")
	require.Empty(t, b.notes.posted)
	require.ErrorIs(t, b.fail(t.Context(), stale, verdict{reason: "no"}), ErrFenced)

	require.NoError(t, b.run(t.Context(), fresh, noJob{}))
	require.Len(t, b.notes.posted, 1)
}

func TestTheKindOfTheFaultDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status string
		snooze time.Duration
		cancel bool
	}{
		"gone":        {fault.New(fault.NotFound, "no such ticket"), "failed", 0, true},
		"refused":     {fault.New(fault.Forbidden, "not your account"), "failed", 0, true},
		"invalid":     {fault.New(fault.Invalid, "bad"), "failed", 0, true},
		"paused":      {fault.New(fault.Unauthenticated, "key refused").WithRetryAfter(time.Minute), "pending", time.Minute, false},
		"limited":     {fault.New(fault.Limited, "slow down").WithRetryAfter(7 * time.Second), "pending", 7 * time.Second, false},
		"ambiguous":   {fault.New(fault.Unavailable, "unknown").WithRetryAfter(45 * time.Second), "pending", 45 * time.Second, false},
		"unavailable": {fault.New(fault.Unavailable, "away"), "pending", 0, false},
		"unforeseen":  {errors.New("boom"), "pending", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.notes.errs = []error{c.err}
			id := b.deliver(t, created("k1", "4711")).ID
			err := b.attempt(t, id)
			require.Equal(t, c.status, b.show(t, id).Status)
			var snooze *rivertype.JobSnoozeError
			if errors.As(err, &snooze) {
				require.Equal(t, c.snooze, snooze.Duration)
			} else {
				require.Zero(t, c.snooze)
			}
			var cancel *rivertype.JobCancelError
			require.Equal(t, c.cancel, errors.As(err, &cancel))
		})
	}
}

func TestAttemptsRunOutVisibly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.MaxAttempts = 2
	b.notes.errs = []error{errors.New("a"), errors.New("b")}
	id := b.deliver(t, created("k1", "4711")).ID
	require.Error(t, b.attempt(t, id))
	require.Error(t, b.attempt(t, id))
	got := b.show(t, id)
	require.Equal(t, "failed", got.Status)
	require.Contains(t, *got.ErrorMessage, "gave up")
	require.NotContains(t, *got.ErrorMessage, "\"b\"", "the cause is for the log")
}

func TestWaitingForANamedTimeCostsNoAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.MaxAttempts = 2
	paused := fault.New(fault.Unauthenticated, "key refused").WithRetryAfter(time.Minute)
	b.notes.errs = []error{paused, paused, paused, errors.New("a")}
	id := b.deliver(t, created("k1", "4711")).ID
	for range 4 {
		require.Error(t, b.attempt(t, id))
	}
	require.Equal(t, "pending", b.show(t, id).Status)
	require.NoError(t, b.attempt(t, id))
	require.Equal(t, "completed", b.show(t, id).Status)
}

func TestASourceThatFailsOrHangsIsDataAndNoFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.search.err = errors.New("index broken: select * from secrets")
	id := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, id))
	require.Equal(t, evidence.Failed, b.show(t, id).Context.Sources[0].Outcome)
	require.NotContains(t, b.show(t, id).Context.Sources[0].Reason, "select")

	b.search.block = make(chan struct{})
	t.Cleanup(func() { close(b.search.block) })
	b.cfg.SearchTimeout = 20 * time.Millisecond
	id = b.deliver(t, created("k2", "4712")).ID
	require.NoError(t, b.attempt(t, id))
	report := b.show(t, id).Context.Sources[0]
	require.Equal(t, "similar_tickets", report.Name)
	require.Equal(t, evidence.TimedOut, report.Outcome)
}

func TestAThinDeliveryIsCompletedByTheDesk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.ticket = DeskTicket{Ticket: evidence.Ticket{ID: "4711", Subject: "Printer", Description: "0x0000011b", Priority: "Low"}}
	d := created("k1", "4711")
	d.Subject, d.Description = "", ""
	id := b.deliver(t, d).ID
	require.NoError(t, b.attempt(t, id))
	got := b.show(t, id).Context.Ticket
	require.Equal(t, "Printer", got.Subject)
	require.Equal(t, "0x0000011b", got.Description)

	full := b.deliver(t, created("k2", "4712")).ID
	require.NoError(t, b.attempt(t, full))
	require.Equal(t, 1, b.desk.calls, "a whole delivery needs no desk")
}

func TestWhereTheDeskMustConfirmARefusalStopsEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant.prefs.MustFetch = true
	b.desk.err = fault.New(fault.Forbidden, "the ticket belongs to another account")
	id := b.deliver(t, created("k1", "4711")).ID
	require.Error(t, b.attempt(t, id))
	require.Equal(t, "failed", b.show(t, id).Status)
	require.Zero(t, b.search.calls, "nothing was searched for a foreign ticket")
	require.Empty(t, b.notes.posted)
}

func TestSkippedByPreference(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant.prefs.Skip = func(evidence.Ticket) string { return "priority high" }
	id := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, id))
	got := b.show(t, id)
	require.Equal(t, "skipped", got.Outcome)
	require.Equal(t, "priority high", got.Reason)
	require.Zero(t, b.model.calls)
}

func TestRetryRunsAgainAndRefusesWhatCannot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.deliver(t, created("k1", "4711")).ID
	require.True(t, fault.Is(b.Retry(t.Context(), "acme", id), fault.Conflict), "still pending")
	b.notes.errs = []error{fault.New(fault.NotFound, "no such ticket")}
	require.Error(t, b.attempt(t, id))
	require.NoError(t, b.Retry(t.Context(), "acme", id))
	require.Equal(t, 2, b.jobs(t))
	require.NoError(t, b.attempt(t, id))
	require.Equal(t, "completed", b.show(t, id).Status)
	require.True(t, b.notes.posted[0].Repost)

	require.True(t, fault.Is(b.Retry(t.Context(), "acme", uuid.New()), fault.NotFound))
	require.True(t, fault.Is(b.Retry(t.Context(), "other", id), fault.NotFound), "another tenant's run does not exist")

	skipped := b.deliver(t, created("k2", "4711")).ID
	require.True(t, fault.Is(b.Retry(t.Context(), "acme", skipped), fault.Conflict), "the ticket has its note")
}

// What a worker that lost its lease tells the queue decides whether the model is asked twice.
func TestARunThatWasGivenUpIsLeftToItsNewOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.deliver(t, created("k1", "4711")).ID
	stale, err := b.claim(t.Context(), runID{"acme", id})
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrSuspended)

	var snooze *rivertype.JobSnoozeError
	require.ErrorAs(t, b.settle(ctx, stale, ctx.Err()), &snooze, "nobody has it yet: it is tried again")
	require.Zero(t, b.show(t, id).Attempts, "and costs no attempt")

	_, err = b.claim(t.Context(), runID{"acme", id})
	require.NoError(t, err)
	require.NoError(t, b.settle(ctx, stale, ctx.Err()), "a newer owner has it: not a word that would queue it again")
	require.NoError(t, b.settle(t.Context(), stale, fault.New(fault.Unavailable, "away")))
	require.NoError(t, b.settle(t.Context(), stale, fault.New(fault.Invalid, "wrong")))
	require.Equal(t, "pending", b.show(t, id).Status)
	require.Equal(t, 1, b.show(t, id).Attempts)
}

func TestOrphansAreFoundAndQueuedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.deliver(t, created("k1", "4711")).ID
	b.cfg.OrphanAfter = time.Microsecond
	recovered := func(want int64) {
		t.Helper()
		n, err := b.recoverOrphans(t.Context(), "acme")
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	recovered(0)
	require.Equal(t, 1, b.jobs(t), "a row with a living job is no orphan")

	_, err := b.db.Pool().Exec(t.Context(), `UPDATE river_job SET state = 'completed', finalized_at = now()`)
	require.NoError(t, err)
	recovered(1)
	require.Equal(t, 2, b.jobs(t))

	_, err = b.db.Pool().Exec(t.Context(), `DELETE FROM river_job`)
	require.NoError(t, err)
	b.cfg.MaxAttempts = 0
	recovered(1)
	require.Equal(t, "failed", b.show(t, id).Status)
}

func TestAStormIsReportedApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var last uuid.UUID
	for i := range 5 {
		last = b.deliver(t, created(fmt.Sprint("k", i), fmt.Sprint(4711+i))).ID
	}
	other := created("x", "9000")
	other.Subject, other.Description = "Printer out of paper", "tray two is empty"
	b.deliver(t, other)
	require.NoError(t, b.attempt(t, last))
	storm := b.show(t, last).Context.Storm
	require.NotNil(t, storm)
	require.Equal(t, 4, storm.Count, "the ticket itself and the printer do not count")

	lone := b.deliver(t, Delivery{TenantID: "acme", Key: []byte("y"), Event: eventCreated, TicketID: "1", Subject: "Badge", Description: "new badge reader"}).ID
	require.NoError(t, b.attempt(t, lone))
	require.Nil(t, b.show(t, lone).Context.Storm)
}

func TestATenantOverItsBudgetGetsFactsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant.prefs.DailyTokenBudget = 120
	first := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, first))
	require.Equal(t, 1, b.model.calls, "100 + 20 tokens were left")
	second := b.deliver(t, created("k2", "4712")).ID
	require.NoError(t, b.attempt(t, second))
	require.Equal(t, 1, b.model.calls)
	require.Equal(t, "over_budget", b.show(t, second).Reason)
	require.Len(t, b.notes.posted, 2)
}

func TestHistoryPastItsRetentionGoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, old))
	stuck := b.deliver(t, created("k2", "4712")).ID
	fresh := b.deliver(t, created("k3", "4713")).ID
	require.NoError(t, b.attempt(t, fresh))
	require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE enhancement_history SET created_at = now() - interval '91 days' WHERE id = ANY($1)`, []uuid.UUID{old, stuck})
		return err
	}))
	counted, err := b.Retain(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acme": 1}, counted)
	b.show(t, old)
	deleted, err := b.Retain(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, counted, deleted, "a pending row is never deleted, a young one neither")
	_, err = b.Show(t.Context(), "acme", old)
	require.True(t, fault.Is(err, fault.NotFound))
	b.show(t, stuck)
	b.show(t, fresh)
}

// pausing ends a context after some transactions.
type pausing struct {
	Transactor
	left   int
	cancel context.CancelFunc
}

func (p *pausing) InTenantTx(ctx context.Context, tenantID string, fn func(context.Context, pgx.Tx) error) error {
	err := p.Transactor.InTenantTx(ctx, tenantID, fn)
	if p.left--; p.left == 0 {
		p.cancel()
	}
	return err
}

// A large history goes a thousand rows a transaction, and can be stopped between two.
func TestRetentionGoesInBatchesThatCanBeStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference, status, stage, outcome, created_at)
			SELECT 'acme', gen_random_uuid(), int4send(i), 'ticket_created', i::text, 'AIA-' || i, 'completed', 'closed', 'note', now() - interval '91 days'
			FROM generate_series(1, 2500) AS i`)
		return err
	}))
	ctx, cancel := context.WithCancel(t.Context())
	transactions := &pausing{Transactor: b.db, left: 2, cancel: cancel}
	b.deps.DB = transactions
	deleted, err := b.Retain(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, map[string]int64{"acme": 2000}, deleted, "two batches were committed")
	deleted, err = b.Retain(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acme": 500}, deleted)
}

func TestAResolvedTicketTeaches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	learn := func(key string) uuid.UUID {
		d := created(key, "4711")
		d.Event = eventResolved
		id := b.deliver(t, d).ID
		r, err := b.claim(t.Context(), runID{"acme", id})
		require.NoError(t, err)
		require.NoError(t, b.settle(t.Context(), r, b.learn(t.Context(), r, noJob{})))
		return id
	}
	b.desk.ticket = DeskTicket{Ticket: evidence.Ticket{ID: "4711", Subject: "VPN"}, Resolution: "  "}
	require.Equal(t, "skipped", b.show(t, learn("k1")).Outcome, "a ticket without a resolution teaches nothing")
	b.desk.ticket.Resolution = "restarted the tunnel"
	require.Equal(t, "recorded", b.show(t, learn("k2")).Outcome)
	require.Len(t, b.search.records, 1)
	require.False(t, b.search.records[0].ResolvedAt.IsZero())
}

// Queued jobs outlive deploys: their kinds and arguments may gain fields, never lose or rename one.
func TestJobArgsAreGolden(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0193f1d2-0000-7000-8000-000000000001")
	for _, c := range []struct {
		args   river.JobArgs
		golden string
	}{
		{EnhanceArgs{"acme", id}, `enhance_ticket {"tenant_id":"acme","enhancement_id":"0193f1d2-0000-7000-8000-000000000001"}`},
		{LearnArgs{"acme", id}, `learn_resolution {"tenant_id":"acme","enhancement_id":"0193f1d2-0000-7000-8000-000000000001"}`},
	} {
		raw, err := json.Marshal(c.args)
		require.NoError(t, err)
		require.Equal(t, c.golden, c.args.Kind()+" "+string(raw))
	}
}

func TestNewNamesEveryMissingDependency(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{}, DefaultConfig())
	for _, name := range []string{"DB", "Queue", "Desk", "Notes", "Tenants", "Similar", "Articles", "Systems", "Monitoring", "Resolutions", "Model", "Logger", "Tracer", "Clock", "TraceMetadata"} {
		require.ErrorContains(t, err, name)
	}
}

func TestATenantWithABacklogWaitsBehindTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	priority := func(ticket string) (p int) {
		require.NoError(t, b.db.Pool().QueryRow(t.Context(), `
			SELECT j.priority FROM river_job j WHERE j.args->>'enhancement_id' = $1`, ticket).Scan(&p))
		return p
	}
	send := func(tenant, ticket, urgency string) string {
		d := created(tenant+ticket, ticket)
		d.TenantID, d.Priority = tenant, urgency
		return b.deliver(t, d).ID.String()
	}
	for i := range floodThreshold {
		require.Equal(t, 2, priority(send("acme", fmt.Sprint(i), "")))
	}
	require.Equal(t, priorityFlood, priority(send("acme", "late", "")))
	require.Equal(t, priorityFloodUrgent, priority(send("acme", "urgent", "Critical")), "urgent tickets go first within the flood")
	require.Equal(t, priorityNormal, priority(send("other", "1", "Low")), "another tenant does not feel it, whatever its ticket says")
}

func TestDelaysAndPriorities(t *testing.T) {
	t.Parallel()
	require.Equal(t, []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second},
		[]time.Duration{retryDelay(1), retryDelay(2), retryDelay(3), retryDelay(4)})
	require.Equal(t, 5*time.Minute, retryDelay(1000))
	for text, want := range map[string]int{"": 2, "High": 1, "critical": 1, "P1": 1, "medium": 2, "Low": 2, "whatever": 2} {
		require.Equal(t, want, priorityOf(text), text)
	}
}

func TestARunKeepsWhatTheGuardsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.findings = synthesis.Result{
		Hidden: evidence.Hidden{Characters: 3}, Masked: map[string]int{"MAIL": 1},
		Drops: []synthesis.Drop{{Part: "steps", Cause: "host"}}, RetiredModels: []string{"gpt-old"},
	}
	id := b.deliver(t, created("k1", "4711")).ID
	require.NoError(t, b.attempt(t, id))
	got := b.show(t, id).Findings
	require.Equal(t, 3, got.Hidden.Total())
	require.Equal(t, 1, got.Masked["MAIL"])
	require.Equal(t, "host", got.Drops[0].Cause)
	require.Equal(t, []string{"gpt-old"}, got.RetiredModels)
}
