package enhancement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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

// insertSQL adds the rows that are new, and counts the tenant's backlog as it was before, reading no more of the index than it has
// to. Two transactions that bring the same delivery wait here for each other.
const insertSQL = `
	WITH fresh AS (
	  INSERT INTO enhancement_history
	    (tenant_id, id, event_key, event, ticket_id, correlation_id, reference, status, stage, outcome, reason,
	     subject, description, priority, ticket_created_at, completed_at)
	  SELECT $1, n.id, n.event_key, n.event, n.ticket_id, n.correlation_id, n.reference, n.status, n.stage, n.outcome, n.reason,
	         n.subject, n.description, n.priority, n.ticket_created_at, CASE WHEN n.status = 'pending' THEN NULL ELSE now() END
	  FROM unnest($2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
	              $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[])
	    AS n (id, event_key, event, ticket_id, correlation_id, reference, status, stage, outcome, reason,
	          subject, description, priority, ticket_created_at)
	  ON CONFLICT DO NOTHING
	  RETURNING id)
	SELECT id, (SELECT count(*) FROM (
	  SELECT 1 FROM enhancement_history WHERE tenant_id = $1 AND status = 'pending' LIMIT $16) p) AS backlog
	FROM fresh`

// arrival is a delivery on its way into the history.
type arrival struct {
	Delivery
	start

	id        uuid.UUID
	reference string
}

// insertTx adds rows and returns which of them are new, and the tenant's backlog before them, counted up to a little above
// floodThreshold.
func insertTx(ctx context.Context, tx pgx.Tx, tenantID string, arrivals []arrival) (fresh map[uuid.UUID]bool, backlog int, err error) {
	n := len(arrivals)
	ids, keys, createdAt := make([]uuid.UUID, n), make([][]byte, n), make([]*time.Time, n)
	var texts [11][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, a := range arrivals {
		ids[i], keys[i] = a.id, a.Key
		if !a.CreatedAt.IsZero() {
			createdAt[i] = &arrivals[i].CreatedAt
		}
		for column, text := range []string{
			a.Event, a.TicketID, a.CorrelationID, a.reference, a.status, a.stage, a.outcome, a.reason,
			a.Subject, a.Description, a.Priority,
		} {
			texts[column][i] = text
		}
	}
	args := []any{tenantID, ids, keys}
	for _, column := range texts {
		args = append(args, column)
	}
	rows, err := tx.Query(ctx, insertSQL, append(args, createdAt, floodThreshold+1)...)
	if err != nil {
		return nil, 0, fmt.Errorf("insert enhancements: %w", err)
	}
	fresh = make(map[uuid.UUID]bool, n)
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id, &backlog}, func() error { fresh[id] = true; return nil })
	if err != nil {
		return nil, 0, fmt.Errorf("insert enhancements: %w", err)
	}
	return fresh, backlog, nil
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

const claimSQL = `
	UPDATE enhancement_history
	SET epoch = epoch + 1, attempts = attempts + 1, started_at = coalesce(started_at, now())
	WHERE tenant_id = $1 AND id = $2 AND status = 'pending'
	RETURNING event, ticket_id, correlation_id, reference, stage, epoch, attempts, rerun, subject, description, priority, ticket_created_at,
	          context_gathered, llm_output, note_html, note_id, timings, created_at`

// readClaimed returns nil where claimSQL found the row done.
func readClaimed(rows pgx.Rows) (*claimed, error) {
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[claimed])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// guarded is a change of the row that touches nothing unless this worker still owns it.
type guarded struct {
	sql  string
	args []any
}

func guard(r *run, set string, args ...any) guarded {
	return guarded{
		`UPDATE enhancement_history SET ` + set + ` WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND status = 'pending'`,
		append([]any{r.id.tenant, r.id.id, r.row.Epoch}, args...),
	}
}

// owned returns ErrFenced for a guarded change that touched nothing.
func owned(tag pgconn.CommandTag) error {
	if tag.RowsAffected() == 0 {
		return ErrFenced
	}
	return nil
}

func (g guarded) queue(b *pgx.Batch) { b.Queue(g.sql, g.args...).Exec(owned) }

func (g guarded) execTx(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, g.sql, g.args...)
	if err != nil {
		return fmt.Errorf("update enhancement: %w", err)
	}
	return owned(tag)
}

// queueCalls keeps what every call of the model used. A call's id follows from its run and place, so that a commit whose
// answer was lost can be repeated. A worker that lost its row meanwhile has paid all the same, and its calls are kept too.
func queueCalls(b *pgx.Batch, r *run, calls []synthesis.Call) {
	for i, c := range calls {
		id := uuid.NewSHA1(r.id.id, fmt.Appendf(nil, "%d/%d", r.row.Epoch, i))
		b.Queue(`
			INSERT INTO model_calls (tenant_id, enhancement_id, id, model, outcome, prompt_tokens, cached_tokens,
			                         completion_tokens, cost_usd, price_date, duration_ms)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (tenant_id, enhancement_id, id) DO NOTHING`,
			r.id.tenant, r.id.id, id, c.Model, string(c.Outcome), c.PromptTokens, c.CachedTokens,
			c.CompletionTokens, c.CostUSD, c.PriceDate, c.Duration.Milliseconds())
	}
}

// timings is how long each stage took, in milliseconds, by stage and by source.
type timings map[string]int64

func decodeTimings(raw []byte) timings {
	t := timings{}
	// A row holds what this program wrote; an unreadable value only loses numbers that nobody acts upon.
	_ = json.Unmarshal(raw, &t)
	return t
}
