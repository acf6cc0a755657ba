package enhancement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	ProcessingTimeMs *int       `json:"processing_time_ms"`
	CreatedAt        time.Time  `json:"created_at"`
	CompletedAt      *time.Time `json:"completed_at"`
}

const summaryColumns = `id, tenant_id, ticket_id, event, status, stage, outcome, reason, reference, note_id, correlation_id,
	attempts, error_message, processing_time_ms, created_at, completed_at`

// Detail is one run with everything that is known about it.
type Detail struct {
	Summary
	Subject     string           `json:"subject"`
	Description string           `json:"description"`
	Priority    string           `json:"priority"`
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

// Filter narrows a list.
type Filter struct {
	Status   string
	TicketID string
	// Limit is the size of a page, 1 to 1000.
	Limit int
	// Before continues a list behind the row with this creation time.
	Before time.Time
}

// List returns a tenant's runs, the newest first.
func (m *Module) List(ctx context.Context, tenantID string, f Filter) ([]Summary, error) {
	if f.Limit < 1 || f.Limit > 1000 {
		f.Limit = 50
	}
	var before *time.Time
	if !f.Before.IsZero() {
		before = &f.Before
	}
	var list []Summary
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT `+summaryColumns+`
			FROM enhancement_history
			WHERE tenant_id = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR ticket_id = $3)
			  AND ($4::timestamptz IS NULL OR created_at < $4)
			ORDER BY created_at DESC, id
			LIMIT $5`, tenantID, f.Status, f.TicketID, before, f.Limit)
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
		Subject         string
		Description     string
		Priority        string
		Timings         []byte
		ContextGathered []byte
		LlmOutput       *string
		NoteHTML        *string
		Findings        []byte
	}
	rows, err := tx.Query(ctx, `
		SELECT `+summaryColumns+`, subject, description, priority, timings, context_gathered, llm_output, note_html, findings
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
		Summary: r.Summary, Subject: r.Subject, Description: r.Description, Priority: r.Priority,
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

// Retry runs an enhancement again from the start. Its note, if there is one, is replaced and not doubled: the run keeps its
// reference, and the record of the post keeps the note's id.
func (m *Module) Retry(ctx context.Context, tenantID string, id uuid.UUID) error {
	return m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
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
			SET status = 'pending', stage = 'received', outcome = '', reason = '', error_message = NULL, attempts = 0,
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
	})
}
