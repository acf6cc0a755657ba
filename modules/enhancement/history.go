package enhancement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/db"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/synthesis"
)

// Summary is one row of the history as a list shows it.
type Summary struct {
	ID               uuid.UUID  `json:"id"`
	TenantID         string     `json:"tenant_id"`
	TicketID         string     `json:"ticket_id"`
	Subject          string     `json:"subject"`
	Event            string     `json:"event"`
	Status           string     `json:"status"`
	Stage            string     `json:"stage"`
	Outcome          string     `json:"outcome"`
	Reason           string     `json:"reason"`
	Reference        string     `json:"reference"`
	NoteID           string     `json:"note_id"`
	CorrelationID    string     `json:"correlation_id"`
	Attempts         int        `json:"attempts"`
	ErrorMessage     *string    `json:"error_message"`
	ErrorCode        string     `json:"error_code"`
	ProcessingTimeMs *int       `json:"processing_time_ms"`
	CreatedAt        time.Time  `json:"created_at"`
	CompletedAt      *time.Time `json:"completed_at"`
}

const summaryColumns = `id, tenant_id, ticket_id, subject, event, status, stage, outcome, reason, reference, note_id, correlation_id,
	attempts, error_message, error_code, processing_time_ms, created_at, completed_at`

// Detail is one run with everything that is known about it.
type Detail struct {
	Summary
	Description string           `json:"description"`
	Priority    string           `json:"priority"`
	StartedAt   *time.Time       `json:"started_at"`
	Timings     map[string]int64 `json:"timings_ms"`
	Context     *evidence.Bundle `json:"context"`
	Answer      *evidence.Answer `json:"answer"`
	NoteHTML    *string          `json:"note_html"`
	Findings    *Findings        `json:"findings"`
	Calls       []CallRecord     `json:"model_calls"`
	CostUSD     float64          `json:"cost_usd"`
}

// Findings is what the guards around the model found in one run.
type Findings struct {
	// Hidden counts what was cleaned out of the evidence before it was sent: invisible characters, markup, encoded text.
	Hidden evidence.Hidden `json:"hidden"`
	// Masked counts placeholders by kind.
	Masked map[string]int `json:"masked,omitempty"`
	// Drops are the statements of the model that the evidence did not cover.
	Drops []synthesis.Drop `json:"drops,omitempty"`
	// RetiredModels were asked and are unknown to the server.
	RetiredModels []string `json:"retired_models,omitempty"`
}

func findingsOf(res synthesis.Result) Findings {
	return Findings{Hidden: res.Hidden, Masked: res.Masked, Drops: res.Drops, RetiredModels: res.RetiredModels}
}

// CallRecord is one call of a model.
type CallRecord struct {
	Model            string    `json:"model"`
	Outcome          string    `json:"outcome"`
	PromptTokens     int       `json:"prompt_tokens"`
	CachedTokens     int       `json:"cached_tokens"`
	CompletionTokens int       `json:"completion_tokens"`
	CostUSD          float64   `json:"cost_usd"`
	PriceDate        string    `json:"price_date"`
	DurationMs       int       `json:"duration_ms"`
	CreatedAt        time.Time `json:"created_at"`
}

// Filter narrows a list. Zero values leave a field open.
type Filter struct {
	// Status is pending, completed or failed.
	Status string
	// Outcome is note, facts_only, skipped, recorded or failed.
	Outcome  string
	TicketID string
	// Since (inclusive) and Until (exclusive) are about when the run was received.
	Since, Until time.Time
	// Limit is the size of a page, 1 to 1000; others take 50.
	Limit int
	// After continues a list behind a run that was the last of its page.
	After Position
}

// Position is a run's place in a list: the newest first, and by id among those of the same moment.
type Position struct {
	CreatedAt time.Time
	ID        uuid.UUID
}

// conditions are the filter's as SQL, so that each asks for no more than it needs and the planner finds its index. The texts
// are fixed; what callers give are parameters.
func (f Filter) conditions(tenantID string) (string, []any) {
	where, args := "tenant_id = $1", []any{tenantID}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		where += " AND " + condition
	}
	switch f.Status {
	case "":
	case "failed", "pending": // as literals, for the partial indexes
		add("status = '" + f.Status + "'")
	default:
		add("status = ?", f.Status)
	}
	if f.Outcome != "" {
		add("outcome = ?", f.Outcome)
	}
	if f.TicketID != "" {
		add("ticket_id = ?", f.TicketID)
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		add("created_at < ?", f.Until)
	}
	if !f.After.CreatedAt.IsZero() {
		add("(created_at, id) < (?, ?)", f.After.CreatedAt, f.After.ID)
	}
	return where, args
}

// List returns a tenant's runs, the newest first.
func (m *Module) List(ctx context.Context, tenantID string, f Filter) ([]Summary, error) {
	if f.Limit < 1 || f.Limit > 1000 {
		f.Limit = 50
	}
	where, args := f.conditions(tenantID)
	var list []Summary
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+summaryColumns+` FROM enhancement_history
			WHERE `+where+` ORDER BY created_at DESC, id DESC LIMIT `+strconv.Itoa(f.Limit), args...)
		if err != nil {
			return fmt.Errorf("list enhancements: %w", err)
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[Summary])
		if err != nil {
			return fmt.Errorf("list enhancements: %w", err)
		}
		return nil
	})
	return list, err
}

// Show returns one run. NotFound when this tenant has no such run.
func (m *Module) Show(ctx context.Context, tenantID string, id uuid.UUID) (Detail, error) {
	var d Detail
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if d, err = detailTx(ctx, tx, tenantID, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT model, outcome, prompt_tokens, cached_tokens, completion_tokens, cost_usd, price_date, duration_ms, created_at
			FROM model_calls WHERE tenant_id = $1 AND enhancement_id = $2 ORDER BY created_at, id`, tenantID, id)
		if err != nil {
			return fmt.Errorf("list model calls: %w", err)
		}
		if d.Calls, err = pgx.CollectRows(rows, pgx.RowToStructByName[CallRecord]); err != nil {
			return fmt.Errorf("list model calls: %w", err)
		}
		for _, c := range d.Calls {
			d.CostUSD += c.CostUSD
		}
		return nil
	})
	return d, err
}

func detailTx(ctx context.Context, tx pgx.Tx, tenantID string, id uuid.UUID) (Detail, error) {
	type row struct {
		Summary
		Description     string
		Priority        string
		StartedAt       *time.Time
		Timings         []byte
		ContextGathered []byte
		LlmOutput       *string
		NoteHTML        *string
		Findings        []byte
	}
	rows, err := tx.Query(ctx, `
		SELECT `+summaryColumns+`, description, priority, started_at, timings, context_gathered, llm_output, note_html, findings
		FROM enhancement_history WHERE tenant_id = $1 AND id = $2`, tenantID, id)
	if err != nil {
		return Detail{}, fmt.Errorf("read enhancement: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[row])
	if errors.Is(err, pgx.ErrNoRows) {
		return Detail{}, noSuchRun(id)
	}
	if err != nil {
		return Detail{}, fmt.Errorf("read enhancement: %w", err)
	}
	d := Detail{
		Summary: r.Summary, Description: r.Description, Priority: r.Priority, StartedAt: r.StartedAt,
		Timings: decodeTimings(r.Timings), NoteHTML: r.NoteHTML,
	}
	if r.ContextGathered != nil {
		if err := json.Unmarshal(r.ContextGathered, &d.Context); err != nil {
			return Detail{}, fmt.Errorf("read stored context: %w", err)
		}
	}
	if r.LlmOutput != nil {
		if err := json.Unmarshal([]byte(*r.LlmOutput), &d.Answer); err != nil {
			return Detail{}, fmt.Errorf("read stored answer: %w", err)
		}
	}
	if r.Findings != nil {
		if err := json.Unmarshal(r.Findings, &d.Findings); err != nil {
			return Detail{}, fmt.Errorf("read stored findings: %w", err)
		}
	}
	return d, nil
}

func noSuchRun(id uuid.UUID) error {
	return fault.Newf(fault.NotFound, "this tenant has no enhancement %s", id)
}

// Retry is RetryTx in a transaction of its own.
func (m *Module) Retry(ctx context.Context, tenantID string, id uuid.UUID) error {
	return m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return m.RetryTx(ctx, tx, tenantID, id)
	})
}

// RetryTx runs an enhancement again from the start, once tx has committed. Its note, if there is one, is replaced and not
// doubled: the run keeps its reference, and the record of the post keeps the note's id.
func (m *Module) RetryTx(ctx context.Context, tx pgx.Tx, tenantID string, id uuid.UUID) error {
	var event, status, outcome, priority string
	err := tx.QueryRow(ctx, `SELECT event, status, outcome, priority FROM enhancement_history
		WHERE tenant_id = $1 AND id = $2 FOR UPDATE`, tenantID, id).Scan(&event, &status, &outcome, &priority)
	if errors.Is(err, pgx.ErrNoRows) {
		return noSuchRun(id)
	}
	if err != nil {
		return fmt.Errorf("read enhancement: %w", err)
	}
	s := startOf(event)
	switch {
	case status == "pending":
		return fault.New(fault.Conflict, "the enhancement is still running; wait for it to end")
	case s.job == nil:
		return fault.Newf(fault.Conflict, "an event %s has nothing to run again", strconv.Quote(event))
	}
	// Attempts start anew; created_at moves, because the promises about time count from this request on.
	_, err = tx.Exec(ctx, `
		UPDATE enhancement_history
		SET status = 'pending', stage = 'received', outcome = '', reason = '', error_message = NULL, error_code = '', attempts = 0,
		    context_gathered = NULL, llm_output = NULL, note_html = NULL, findings = NULL, completed_at = NULL, started_at = NULL,
		    processing_time_ms = NULL, timings = '{}', created_at = now(), epoch = epoch + 1, rerun = true
		WHERE tenant_id = $1 AND id = $2`, tenantID, id)
	if db.HasSQLState(err, db.UniqueViolation) {
		return fault.New(fault.Conflict, "another enhancement already made the note of this ticket")
	}
	if err != nil {
		return fmt.Errorf("reset enhancement: %w", err)
	}
	run := runID{tenant: tenantID, id: id}
	return m.enqueueTx(ctx, tx, m.jobOf(ctx, s.job(run), priorityOf(priority), nil))
}
