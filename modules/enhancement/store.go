package enhancement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/modules/enhancement/synthesis"
)

// runID names one row of the history.
type runID struct {
	tenant string
	id     uuid.UUID
}

// claimed is what a worker knows of the row it owns.
type claimed struct {
	Event           string
	TicketID        string
	CorrelationID   string
	Reference       string
	Stage           string
	Epoch           int64
	Attempts        int
	Rerun           bool
	Subject         string
	Description     string
	Priority        string
	TicketCreatedAt *time.Time
	ContextGathered []byte
	LlmOutput       *string
	NoteHTML        *string
	NoteID          string
	Timings         []byte
	CreatedAt       time.Time
}

// floodThreshold is how many pending enhancements make a tenant's further ones wait behind those of other tenants. It lies
// above what a busy tenant has under way while all is well (five tickets a second with a model that takes ten), so that
// a slow minute does not send it to the end.
const floodThreshold = 50

// floodedTx reports whether the tenant has a backlog. It reads no more entries of the index than it has to.
func floodedTx(ctx context.Context, tx pgx.Tx, tenantID string) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM (
		  SELECT 1 FROM enhancement_history WHERE tenant_id = $1 AND status = 'pending' LIMIT $2) p`,
		tenantID, floodThreshold+1).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("count pending enhancements: %w", err)
	}
	return n > floodThreshold, nil
}

const insertSQL = `
	INSERT INTO enhancement_history
	  (tenant_id, id, event_key, event, ticket_id, correlation_id, reference, status, stage, outcome, reason,
	   subject, description, priority, ticket_created_at, completed_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, CASE WHEN $8 = 'pending' THEN NULL ELSE now() END)
	ON CONFLICT DO NOTHING`

// insertTx adds a row and reports whether it is new. Two deliveries at once wait here for each other.
func insertTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, reference string, d Delivery, s start) (bool, error) {
	var createdAt *time.Time
	if !d.CreatedAt.IsZero() {
		createdAt = &d.CreatedAt
	}
	tag, err := tx.Exec(ctx, insertSQL, d.TenantID, id, d.Key, d.Event, d.TicketID, d.CorrelationID, reference,
		s.status, s.stage, s.outcome, s.reason, d.Subject, d.Description, d.Priority, createdAt)
	if err != nil {
		return false, fmt.Errorf("insert enhancement: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// findByKeyTx returns the row of a delivery that was seen before.
func findByKeyTx(ctx context.Context, tx pgx.Tx, tenantID string, key []byte) (uuid.UUID, bool, error) {
	var id uuid.UUID
	err := tx.QueryRow(ctx, `SELECT id FROM enhancement_history WHERE tenant_id = $1 AND event_key = $2`, tenantID, key).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, false, nil
	}
	if err != nil {
		return uuid.Nil, false, fmt.Errorf("find delivery: %w", err)
	}
	return id, true, nil
}

// claimTx takes the row for this worker by raising its epoch. It returns nil when the row is done.
func claimTx(ctx context.Context, tx pgx.Tx, id runID) (*claimed, error) {
	rows, err := tx.Query(ctx, `
		UPDATE enhancement_history
		SET epoch = epoch + 1, attempts = attempts + 1, started_at = coalesce(started_at, now())
		WHERE tenant_id = $1 AND id = $2 AND status = 'pending'
		RETURNING event, ticket_id, correlation_id, reference, stage, epoch, attempts, rerun, subject, description, priority, ticket_created_at,
		          context_gathered, llm_output, note_html, note_id, timings, created_at`, id.tenant, id.id)
	if err != nil {
		return nil, fmt.Errorf("claim enhancement: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[claimed])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim enhancement: %w", err)
	}
	return c, nil
}

// update runs a guarded change of the row: it touches nothing and returns ErrFenced unless this worker still owns it.
func updateTx(ctx context.Context, tx pgx.Tx, r *run, set string, args ...any) error {
	all := append([]any{r.id.tenant, r.id.id, r.row.Epoch}, args...)
	tag, err := tx.Exec(ctx, `UPDATE enhancement_history SET `+set+
		` WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND status = 'pending'`, all...)
	if err != nil {
		return fmt.Errorf("update enhancement: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrFenced
	}
	return nil
}

// insertCallsTx keeps what every call of the model used. A call's id follows from its run and place, so that a commit whose
// answer was lost can be repeated.
func insertCallsTx(ctx context.Context, tx pgx.Tx, r *run, calls []synthesis.Call) error {
	for i, c := range calls {
		id := uuid.NewSHA1(r.id.id, fmt.Appendf(nil, "%d/%d", r.row.Epoch, i))
		_, err := tx.Exec(ctx, `
			INSERT INTO model_calls (tenant_id, enhancement_id, id, model, outcome, prompt_tokens, cached_tokens,
			                         completion_tokens, cost_usd, price_date, duration_ms)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (tenant_id, enhancement_id, id) DO NOTHING`,
			r.id.tenant, r.id.id, id, c.Model, string(c.Outcome), c.PromptTokens, c.CachedTokens,
			c.CompletionTokens, c.CostUSD, c.PriceDate, c.Duration.Milliseconds())
		if err != nil {
			return fmt.Errorf("insert model call: %w", err)
		}
	}
	return nil
}

// timings is how long each stage took, in milliseconds, by stage and by source.
type timings map[string]int64

func decodeTimings(raw []byte) timings {
	t := timings{}
	// A row holds what this program wrote; an unreadable value only loses numbers that nobody acts upon.
	_ = json.Unmarshal(raw, &t)
	return t
}
