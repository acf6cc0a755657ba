package enhancement

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"aiagents/internal/crashpoint"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/enhancement/synthesis"
)

// run is one attempt at one enhancement, by the worker that claimed it.
type run struct {
	id      runID
	row     *claimed
	prefs   Preferences
	timings timings
	// flood is set where the tenant had a backlog when the delivery came.
	flood bool
	// log names the ticket in every line; the tenant and the run come from the context.
	log *slog.Logger
}

// finisher completes the job in the transaction that completes the row, so that neither can be without the other.
type finisher interface {
	completeTx(ctx context.Context, tx pgx.Tx) error
}

type completer[T river.JobArgs] struct{ job *river.Job[T] }

func (c completer[T]) completeTx(ctx context.Context, tx pgx.Tx) error {
	// A row of River's that was handed on meanwhile comes back unchanged and without an error. Our own row decides, so the
	// work is recorded either way; the job's next run finds the row completed.
	if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, c.job); err != nil {
		return fmt.Errorf("complete job: %w", err)
	}
	return nil
}

// claim takes the row for this attempt. It returns nil when there is nothing left to do.
func (m *Module) claim(ctx context.Context, id runID) (*run, error) {
	var row *claimed
	err := m.deps.DB.InTenantBatch(ctx, id.tenant, func(b *pgx.Batch) {
		b.Queue(claimSQL, id.tenant, id.id).Query(func(rows pgx.Rows) (err error) {
			row, err = readClaimed(rows)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("claim enhancement: %w", err)
	}
	if row == nil {
		return nil, nil
	}
	crashpoint.Reach("k2")
	if row.Attempts == 1 {
		m.metrics.stage.WithLabelValues("queue").Observe(m.deps.Clock().Sub(row.CreatedAt).Seconds())
	}
	log := m.deps.Logger.With("ticket_id", row.TicketID, "correlation_id", row.CorrelationID, "attempt", row.Attempts)
	return &run{id: id, row: row, timings: decodeTimings(row.Timings), log: log}, nil
}

// run takes a row through the stages that are still to do.
func (m *Module) run(ctx context.Context, r *run, finish finisher) error {
	var err error
	if r.prefs, err = m.deps.Tenants.Preferences(ctx, r.id.tenant); err != nil {
		return fmt.Errorf("read preferences: %w", err)
	}
	b, skip, err := m.context(ctx, r)
	if err != nil {
		return err
	}
	if skip != "" {
		return m.finish(ctx, r, finish, ending{outcome: "skipped", reason: skip})
	}
	answer, html, err := m.answer(ctx, r, b)
	if err != nil {
		return err
	}
	return m.post(ctx, r, finish, answer, html)
}

// context returns the evidence: what an earlier attempt has stored, or a fresh search that is stored now.
func (m *Module) context(ctx context.Context, r *run) (evidence.Bundle, string, error) {
	var b evidence.Bundle
	if r.row.ContextGathered != nil {
		if err := json.Unmarshal(r.row.ContextGathered, &b); err != nil {
			return b, "", fmt.Errorf("read stored context: %w", err)
		}
		return b, "", nil
	}
	t, err := timed(m, r, "fetch", func() (evidence.Ticket, error) { return m.ticket(ctx, r) })
	if err != nil {
		return b, "", err
	}
	if r.prefs.Skip != nil {
		if why := r.prefs.Skip(t); why != "" {
			return b, why, nil
		}
	}
	ctx, span := m.deps.Tracer.Start(ctx, "gather")
	defer span.End()
	search := func() {
		b, _ = timed(m, r, "gather", func() (evidence.Bundle, error) { return m.gather(ctx, r.id.tenant, t), nil })
	}
	if !r.flood {
		search()
	} else if err := m.gate.pass(ctx, search); err != nil {
		return b, "", fmt.Errorf("wait for a turn to search: %w", err)
	}
	stored, err := json.Marshal(b)
	if err != nil {
		return b, "", fmt.Errorf("encode context: %w", err)
	}
	// A thin delivery takes over the desk's text, so that the history is readable and siblings can be compared.
	err = m.store(ctx, r, guard(r, `stage = 'gathered', context_gathered = $4, timings = $5, subject = $6, description = $7`,
		stored, r.timings, t.Subject, firstRunes(t.Description, keptDescription)))
	crashpoint.Reach("k3")
	return b, "", err
}

// keptDescription is how much of a description the history keeps in its own column, in characters: what a webhook may bring.
const keptDescription = 10_000

// ticket is the ticket of the delivery, completed by the desk where the delivery is thin, and confirmed by it where the
// desk serves several customers.
func (m *Module) ticket(ctx context.Context, r *run) (evidence.Ticket, error) {
	t := evidence.Ticket{
		ID: r.row.TicketID, Subject: r.row.Subject, Description: r.row.Description,
		Priority: r.row.Priority, CreatedAt: r.row.CreatedAt,
	}
	if r.row.TicketCreatedAt != nil {
		t.CreatedAt = *r.row.TicketCreatedAt
	}
	// A run that was asked for again counts as thin: the history keeps the texts that its first run fetched but not the
	// requester, whose name could then not be masked for the model.
	thin := t.Description == "" || t.Subject == "" || r.row.Rerun
	if !r.prefs.MustFetch && (!thin || !r.prefs.CanFetch) {
		if t.Text() == "" {
			return t, fault.New(fault.Invalid, "the webhook brought neither subject nor description, and this system cannot be asked for them")
		}
		return t, nil
	}
	got, err := m.deps.Desk.Ticket(ctx, r.id.tenant, t.ID)
	if err != nil {
		if t.Description != "" && !r.prefs.MustFetch && fault.KindOf(err) != fault.NotFound {
			r.log.WarnContext(ctx, "the desk did not complete the ticket, going on with the webhook's text", "error", err)
			return t, nil
		}
		return t, fmt.Errorf("fetch ticket: %w", err)
	}
	return complete(t, got.Ticket), nil
}

// complete fills what the delivery left out; what it brought stays, since it is what the event was about.
func complete(t, desk evidence.Ticket) evidence.Ticket {
	fill := func(into *string, from string) {
		if *into == "" {
			*into = from
		}
	}
	fill(&t.Subject, desk.Subject)
	fill(&t.Description, desk.Description)
	fill(&t.Priority, desk.Priority)
	t.Category, t.Requester = desk.Category, desk.Requester
	t.AccountID, t.AccountName = desk.AccountID, desk.AccountName
	if !desk.CreatedAt.IsZero() {
		t.CreatedAt = desk.CreatedAt
	}
	return t
}

// answer returns the answer and the note made of it: stored by an earlier attempt, or paid for now and stored at once.
func (m *Module) answer(ctx context.Context, r *run, b evidence.Bundle) (evidence.Answer, string, error) {
	var a evidence.Answer
	if r.row.LlmOutput != nil && r.row.NoteHTML != nil {
		if err := json.Unmarshal([]byte(*r.row.LlmOutput), &a); err != nil {
			return a, "", fmt.Errorf("read stored answer: %w", err)
		}
		return a, *r.row.NoteHTML, nil
	}
	ctx, span := m.deps.Tracer.Start(ctx, "synthesise")
	defer span.End()
	over, err := m.overBudget(ctx, r)
	if err != nil {
		return a, "", err
	}
	if over {
		return m.keepAnswer(ctx, r, b, synthesis.Result{Answer: synthesis.FactsOnly(b, evidence.ReasonOverBudget)})
	}
	opts := synthesis.Options{Language: r.prefs.Language, MaxWords: r.prefs.MaxWords, Model: r.prefs.Model}
	res, err := timed(m, r, "model", func() (synthesis.Result, error) { return m.deps.Model.Synthesise(ctx, b, opts) })
	if err != nil {
		return a, "", fmt.Errorf("synthesise: %w", err)
	}
	crashpoint.Reach("k4")
	m.metrics.called(r.id.tenant, res.Calls)
	return m.keepAnswer(ctx, r, b, res)
}

// keepAnswer renders the note and stores it with the answer and with what the calls used.
func (m *Module) keepAnswer(ctx context.Context, r *run, b evidence.Bundle, res synthesis.Result) (evidence.Answer, string, error) {
	if !r.prefs.ShowRequester {
		res.Answer = withoutRequester(res.Answer, b.Ticket.Requester)
	}
	html := m.render(r, b, res)
	stored, err := json.Marshal(res.Answer)
	if err != nil {
		return res.Answer, "", fmt.Errorf("encode answer: %w", err)
	}
	found, err := json.Marshal(findingsOf(res))
	if err != nil {
		return res.Answer, "", fmt.Errorf("encode findings: %w", err)
	}
	if len(res.RetiredModels) > 0 {
		r.log.WarnContext(ctx, "a configured model is unknown to the server or retired: name another in openai.model or openai.fallback_models",
			"models", res.RetiredModels)
	}
	err = m.store(ctx, r, guard(r, `stage = 'synthesised', llm_output = $4, note_html = $5, timings = $6, findings = $7`,
		string(stored), html, r.timings, found), res.Calls...)
	crashpoint.Reach("k5")
	return res.Answer, html, err
}

func (m *Module) render(r *run, b evidence.Bundle, res synthesis.Result) string {
	html, _ := note.Render(note.Input{
		Bundle: b, Answer: res.Answer, Reference: r.row.Reference, Language: r.prefs.Language,
		MaxWords: r.prefs.MaxWords, Model: res.Model, GeneratedAt: m.deps.Clock(),
		Elapsed: m.deps.Clock().Sub(r.row.CreatedAt),
	})
	return html
}

// post has the note written and completes the row, the note's own record and the job in one transaction.
func (m *Module) post(ctx context.Context, r *run, finish finisher, a evidence.Answer, html string) error {
	ctx, span := m.deps.Tracer.Start(ctx, "post note")
	defer span.End()
	n := Note{
		TenantID: r.id.tenant, Enhancement: r.id.id, TicketID: r.row.TicketID,
		Reference: r.row.Reference, Epoch: r.row.Epoch, HTML: html, Repost: r.row.Rerun,
	}
	posted, err := timed(m, r, "post", func() (Posted, error) { return m.deps.Notes.Post(ctx, n) })
	if err != nil {
		return fmt.Errorf("post note: %w", err)
	}
	outcome := "note"
	if a.Mode == evidence.FactsOnly {
		outcome = "facts_only"
	}
	end := ending{outcome: outcome, reason: string(a.Reason), noteID: posted.NoteID, stage: "posted"}
	if !posted.Recorded {
		end.recordTx = func(ctx context.Context, tx pgx.Tx) error { return m.deps.Notes.RecordPostedTx(ctx, tx, n, posted) }
	}
	return m.finish(ctx, r, finish, end)
}

// ending is how a run ends well.
type ending struct {
	outcome, reason, noteID, stage string
	recordTx                       func(ctx context.Context, tx pgx.Tx) error
}

func (m *Module) finish(ctx context.Context, r *run, finish finisher, e ending) error {
	if e.stage == "" {
		e.stage = "closed"
	}
	took := m.deps.Clock().Sub(r.row.CreatedAt)
	err := m.durably(ctx, func() error {
		return m.deps.DB.InTenantTx(ctx, r.id.tenant, func(ctx context.Context, tx pgx.Tx) error {
			err := guard(r, `status = 'completed', stage = $4, outcome = $5, reason = $6, note_id = $7, timings = $8,
				processing_time_ms = $9, completed_at = now(), error_message = NULL, error_code = ''`,
				e.stage, e.outcome, e.reason, e.noteID, r.timings, took.Milliseconds()).execTx(ctx, tx)
			if err != nil {
				return err
			}
			if e.recordTx != nil {
				if err := e.recordTx(ctx, tx); err != nil {
					return err
				}
			}
			return finish.completeTx(ctx, tx)
		})
	})
	if err != nil {
		return err
	}
	crashpoint.Reach("k11")
	m.metrics.ended(r.id.tenant, e.outcome, took)
	r.log.InfoContext(ctx, "enhancement completed", "outcome", e.outcome, "duration_ms", took.Milliseconds())
	return nil
}

// fail ends a run for good, visibly; `enhancement retry` can start it again.
func (m *Module) fail(ctx context.Context, r *run, v verdict) error {
	took := m.deps.Clock().Sub(r.row.CreatedAt)
	err := m.store(ctx, r, guard(r, `status = 'failed', outcome = 'failed', error_message = $4, timings = $5,
		processing_time_ms = $6, completed_at = now(), error_code = $7`, v.reason, r.timings, took.Milliseconds(), v.code))
	if err != nil {
		return fmt.Errorf("record failure: %w", err)
	}
	m.metrics.ended(r.id.tenant, "failed", took)
	r.log.ErrorContext(ctx, "enhancement failed", "reason", v.reason)
	return nil
}

// noteTrouble shows an operator why a run is still pending. Waiting for a time that was named costs no attempt: a desk that
// refused its key for an hour must not have used up what the run may still need.
func (m *Module) noteTrouble(ctx context.Context, r *run, v verdict) error {
	attempts := r.row.Attempts
	if v.wait > 0 {
		attempts--
	}
	return m.store(ctx, r, guard(r, `error_message = $4, timings = $5, attempts = $6, error_code = $7`, v.reason, r.timings, attempts, v.code))
}

// store makes a change of the row durable, with the calls of the model that led to it.
func (m *Module) store(ctx context.Context, r *run, change guarded, calls ...synthesis.Call) error {
	err := m.durably(ctx, func() error {
		return m.deps.DB.InTenantBatch(ctx, r.id.tenant, func(b *pgx.Batch) {
			change.queue(b)
			queueCalls(b, r, calls)
		})
	})
	if err != nil {
		return fmt.Errorf("update enhancement: %w", err)
	}
	return nil
}

// outagePatience and outagePause are how long, and how often, a result is offered to a database that is away. What is in
// hand was paid for, so an outage shorter than this costs no second call of the model.
const (
	outagePatience = 60 * time.Second
	outagePause    = 500 * time.Millisecond
)

// durably runs a transaction of the tenant, again while the database is away. Every one is guarded by the epoch, so one
// whose commit was lost on the way finds its own work done, or itself fenced, and never does it twice.
func (m *Module) durably(ctx context.Context, transact func() error) error {
	patience, cancel := context.WithTimeout(ctx, outagePatience)
	defer cancel()
	for {
		err := transact()
		if !fault.Is(err, fault.Unavailable) || fault.RetryAfterOf(err) > 0 {
			return err
		}
		select {
		case <-patience.Done():
			return err
		case <-time.After(outagePause):
		}
	}
}

// timed measures a stage, for the run's own record and for the metrics.
func timed[T any](m *Module, r *run, stage string, fn func() (T, error)) (T, error) {
	start := time.Now()
	v, err := fn()
	took := time.Since(start)
	r.timings[stage+"_ms"] += took.Milliseconds()
	m.metrics.stage.WithLabelValues(stage).Observe(took.Seconds())
	return v, err
}
