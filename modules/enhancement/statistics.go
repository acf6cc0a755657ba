package enhancement

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Statistics is what became of a tenant's new tickets in a span of time, and how it stands now. Those of several tenants can
// be added up.
type Statistics struct {
	// Series has one entry an interval of the span, the oldest first. A run counts where its webhook was received.
	Series []Interval
	// Pending are the runs that are not finished, whenever they were received.
	Pending int
	// OldestPending is when the one that waits longest was received; nil for none.
	OldestPending *time.Time
	// PendingError is what that one waits for, where an attempt has failed.
	PendingError string
	// Last is the run of the span that finished last; nil for none.
	Last *LastRun
	// LastNoteAt is when the newest note of the span was written; nil for none.
	LastNoteAt *time.Time
}

// LastRun is how the newest finished run ended.
type LastRun struct {
	ID        uuid.UUID
	TicketID  string
	Outcome   string
	Error     string
	ErrorCode string
	At        time.Time
}

// Interval counts the runs of one interval by outcome, and keeps how long they took.
type Interval struct {
	Start time.Time
	// Outcomes counts by outcome; runs that are not finished count under "".
	Outcomes map[string]int
	// Durations are those of the notes, full and facts-only.
	Durations Durations
}

// Durations is a histogram whose classes grow by a tenth each, so that those of tenants and intervals can be added up and a
// percentile is at most 5 % off.
type Durations map[int]int

// durationGrowth is the width of a class; see classSQL.
const durationGrowth = 1.1

// classSQL is the class of a processing time. It has to agree with Percentile.
const classSQL = `floor(ln(greatest(processing_time_ms, 1)) / ln(1.1))::int`

// Add counts the runs of other too.
func (d Durations) Add(other Durations) {
	for class, n := range other {
		d[class] += n
	}
}

// Count is the number of runs.
func (d Durations) Count() int {
	total := 0
	for _, n := range d {
		total += n
	}
	return total
}

// Percentile is the time within which the share p (0 to 1) of the runs ended; 0 when there is none.
func (d Durations) Percentile(p float64) time.Duration {
	total := d.Count()
	if total == 0 {
		return 0
	}
	rank := max(int(math.Ceil(p*float64(total))), 1)
	lowest, highest := math.MaxInt, math.MinInt
	for class := range d {
		lowest, highest = min(lowest, class), max(highest, class)
	}
	for class := lowest; class <= highest; class++ {
		if rank -= d[class]; rank <= 0 {
			// The middle of the class, by ratio.
			return time.Duration(math.Pow(durationGrowth, float64(class)+0.5) * float64(time.Millisecond)).Round(time.Millisecond)
		}
	}
	return 0
}

// Statistics reads the span since to until in intervals of step. Only deliveries that ask for a note count.
func (m *Module) Statistics(ctx context.Context, tenantID string, since, until time.Time, step time.Duration) (Statistics, error) {
	s := Statistics{}
	for at := since; at.Before(until); at = at.Add(step) {
		s.Series = append(s.Series, Interval{Start: at, Outcomes: map[string]int{}, Durations: Durations{}})
	}
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if err := seriesTx(ctx, tx, tenantID, s.Series, since, until, step); err != nil {
			return err
		}
		if err := pendingTx(ctx, tx, tenantID, &s); err != nil {
			return err
		}
		return lastRunTx(ctx, tx, tenantID, since, &s)
	})
	return s, err
}

// seriesSQL is answered by the index enhancement_history_statistics alone.
const seriesSQL = `
	SELECT floor(extract(epoch FROM created_at - $2)::float8 / $4::float8)::int AS place,
	       CASE WHEN status = 'pending' THEN '' ELSE outcome END AS outcome,
	       CASE WHEN outcome IN ('note', 'facts_only') THEN ` + classSQL + ` END AS class,
	       count(*)::int AS runs
	FROM enhancement_history
	WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3 AND event = 'ticket_created'
	GROUP BY 1, 2, 3`

func seriesTx(ctx context.Context, tx pgx.Tx, tenantID string, series []Interval, since, until time.Time, step time.Duration) error {
	type group struct {
		Place   int
		Outcome string
		Class   *int
		Runs    int
	}
	rows, err := tx.Query(ctx, seriesSQL, tenantID, since, until, step.Seconds())
	if err != nil {
		return fmt.Errorf("count enhancements: %w", err)
	}
	groups, err := pgx.CollectRows(rows, pgx.RowToStructByName[group])
	if err != nil {
		return fmt.Errorf("count enhancements: %w", err)
	}
	for _, g := range groups {
		if g.Place < 0 || g.Place >= len(series) {
			continue
		}
		series[g.Place].Outcomes[g.Outcome] += g.Runs
		if g.Class != nil {
			series[g.Place].Durations[*g.Class] += g.Runs
		}
	}
	return nil
}

func pendingTx(ctx context.Context, tx pgx.Tx, tenantID string, s *Statistics) error {
	err := tx.QueryRow(ctx, `
		SELECT count(*)::int, min(created_at) FROM enhancement_history
		WHERE tenant_id = $1 AND status = 'pending'`, tenantID).Scan(&s.Pending, &s.OldestPending)
	if err != nil {
		return fmt.Errorf("count pending enhancements: %w", err)
	}
	if s.Pending == 0 {
		return nil
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(error_message, '') FROM enhancement_history
		WHERE tenant_id = $1 AND status = 'pending' ORDER BY created_at LIMIT 1`, tenantID).Scan(&s.PendingError)
	if err != nil {
		return fmt.Errorf("read oldest pending enhancement: %w", err)
	}
	return nil
}

// lastLooks bounds how many runs are looked through for the newest finished one and the newest note.
const lastLooks = 200

func lastRunTx(ctx context.Context, tx pgx.Tx, tenantID string, since time.Time, s *Statistics) error {
	rows, err := tx.Query(ctx, `
		SELECT id, ticket_id, outcome, coalesce(error_message, '') AS error, error_code, completed_at AS at
		FROM enhancement_history
		WHERE tenant_id = $1 AND created_at >= $2 AND event = 'ticket_created' AND status <> 'pending' AND completed_at IS NOT NULL
		ORDER BY created_at DESC, id DESC LIMIT $3`, tenantID, since, lastLooks)
	if err != nil {
		return fmt.Errorf("read last enhancements: %w", err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByName[LastRun])
	if err != nil {
		return fmt.Errorf("read last enhancements: %w", err)
	}
	for _, r := range runs {
		if r.Outcome == "skipped" {
			continue // says nothing about whether notes can be made
		}
		if s.Last == nil || r.At.After(s.Last.At) {
			s.Last = &r
		}
		if r.Outcome != "failed" && (s.LastNoteAt == nil || r.At.After(*s.LastNoteAt)) {
			s.LastNoteAt = &r.At
		}
	}
	return nil
}

// CostLine is what one model was used for on one day (UTC).
type CostLine struct {
	Day              time.Time `json:"day"`
	Model            string    `json:"model"`
	Calls            int64     `json:"calls"`
	PromptTokens     int64     `json:"prompt_tokens"`
	CachedTokens     int64     `json:"cached_tokens"`
	CompletionTokens int64     `json:"completion_tokens"`
	CostUSD          float64   `json:"cost_usd"`
}

// Costs adds up a tenant's model calls since a time and before another, by day (UTC) and model.
func (m *Module) Costs(ctx context.Context, tenantID string, since, until time.Time) ([]CostLine, error) {
	var lines []CostLine
	err := m.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT date_trunc('day', created_at, 'UTC') AS day, model, count(*) AS calls,
			       sum(prompt_tokens)::bigint AS prompt_tokens, sum(cached_tokens)::bigint AS cached_tokens,
			       sum(completion_tokens)::bigint AS completion_tokens, sum(cost_usd) AS cost_usd
			FROM model_calls
			WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3
			GROUP BY 1, 2 ORDER BY 1, 2`, tenantID, since, until)
		if err != nil {
			return fmt.Errorf("add up model calls: %w", err)
		}
		lines, err = pgx.CollectRows(rows, pgx.RowToStructByName[CostLine])
		if err != nil {
			return fmt.Errorf("add up model calls: %w", err)
		}
		return nil
	})
	return lines, err
}
