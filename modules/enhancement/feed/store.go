package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// State is how far a feed has come and how its last run ended.
type State struct {
	Kind string `json:"kind"`
	// Since is the time before which nothing is looked at.
	Since *time.Time `json:"since"`
	// CursorAt is the time, by the desk's clock, up to which everything has been looked at.
	CursorAt      *time.Time `json:"cursor_at"`
	LastRunAt     *time.Time `json:"last_run_at"`
	LastSuccessAt *time.Time `json:"last_success_at"`
	// LastResult is running, ok, partial or failed. A run that was killed stays running until the next one.
	LastResult string `json:"last_result"`
	LastError  string `json:"last_error"`
	Counts     Counts `json:"counts"`
}

const stateColumns = `kind, since, cursor_at, last_run_at, last_success_at, last_result, last_error, counts`

// States returns what is known of a tenant's feeds, those that have run at least once.
func (f *Feed) States(ctx context.Context, tenantID string) ([]State, error) {
	var states []State
	err := f.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+stateColumns+` FROM feed_state WHERE tenant_id = $1 ORDER BY kind`, tenantID)
		if err != nil {
			return fmt.Errorf("read feeds: %w", err)
		}
		if states, err = pgx.CollectRows(rows, pgx.RowToStructByName[State]); err != nil {
			return fmt.Errorf("read feeds: %w", err)
		}
		return nil
	})
	return states, err
}

// claimTx takes the feed for a run. errHeld when somebody else has it, or when it ended well less than minAge ago. The lease
// goes by the database's clock, which all workers share.
func claimTx(ctx context.Context, tx pgx.Tx, r *run, minAge time.Duration) (State, error) {
	rows, err := tx.Query(ctx, `
		INSERT INTO feed_state AS s (tenant_id, kind, lease, lease_until, last_run_at, last_result)
		VALUES ($1, $2, $3, now() + $4::interval, now(), 'running')
		ON CONFLICT (tenant_id, kind) DO UPDATE SET
			lease = excluded.lease, lease_until = excluded.lease_until, last_run_at = now(), last_result = 'running', last_error = ''
		WHERE s.lease_until < now() AND (s.last_success_at IS NULL OR s.last_success_at <= now() - $5::interval)
		RETURNING `+stateColumns, r.tenantID, r.kind, r.lease, r.feed.leaseTime, minAge)
	if err != nil {
		return State{}, fmt.Errorf("claim feed: %w", err)
	}
	state, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[State])
	if errors.Is(err, pgx.ErrNoRows) {
		return State{}, errHeld
	}
	if err != nil {
		return State{}, fmt.Errorf("claim feed: %w", err)
	}
	return state, nil
}

func renewTx(ctx context.Context, tx pgx.Tx, r *run) error {
	return r.updateTx(ctx, tx, `lease_until = now() + $4::interval`, r.feed.leaseTime)
}

func advanceTx(ctx context.Context, tx pgx.Tx, r *run) error {
	return r.updateTx(ctx, tx, `since = $4, cursor_at = $5, counts = $6, lease_until = now() + $7::interval`,
		r.state.Since, r.state.CursorAt, r.counts, r.feed.leaseTime)
}

func finishTx(ctx context.Context, tx pgx.Tx, r *run, outcome, message string) error {
	return r.updateTx(ctx, tx, `last_result = $4, last_error = $5, counts = $6, lease = NULL, lease_until = '-infinity',
		last_success_at = CASE WHEN $4 = 'ok' THEN now() ELSE last_success_at END`, outcome, message, r.counts)
}

// updateTx writes to the feed's row while the run still holds it, and fails with errLost when it does not.
func (r *run) updateTx(ctx context.Context, tx pgx.Tx, set string, args ...any) error {
	tag, err := tx.Exec(ctx, `UPDATE feed_state SET `+set+` WHERE tenant_id = $1 AND kind = $2 AND lease = $3`,
		append([]any{r.tenantID, r.kind, r.lease}, args...)...)
	if err != nil {
		return fmt.Errorf("update feed: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errLost
	}
	return nil
}

func raiseFloorTx(ctx context.Context, tx pgx.Tx, tenantID string, floor time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE feed_state SET since = $3 WHERE tenant_id = $1 AND kind = $2 AND since < $3`,
		tenantID, KindReconcile, floor)
	if err != nil {
		return fmt.Errorf("raise floor: %w", err)
	}
	return nil
}

// clockSkew is how far the desk's clock may be ahead of ours without a delivery being overlooked.
const clockSkew = 24 * time.Hour

// unseenTx returns the tickets that no delivery has told us of. Deliveries are looked for from a day before the oldest
// ticket on, so that the index by time serves; a delivery cannot be older than its ticket but for the skew of clocks.
func unseenTx(ctx context.Context, tx pgx.Tx, tenantID string, tickets []Brief) ([]Brief, error) {
	if len(tickets) == 0 {
		return nil, nil
	}
	ids, oldest := make([]string, len(tickets)), tickets[0].CreatedAt
	for i, t := range tickets {
		ids[i] = t.ID
		if t.CreatedAt.Before(oldest) {
			oldest = t.CreatedAt
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ticket_id FROM enhancement_history
		WHERE tenant_id = $1 AND ticket_id = ANY($2) AND event = $3 AND created_at >= $4`,
		tenantID, ids, eventCreated, oldest.Add(-clockSkew))
	if err != nil {
		return nil, fmt.Errorf("read seen tickets: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read seen tickets: %w", err)
	}
	seen := make(map[string]bool, len(known))
	for _, id := range known {
		seen[id] = true
	}
	var unseen []Brief
	for _, t := range tickets {
		if !seen[t.ID] {
			unseen = append(unseen, t)
		}
	}
	return unseen, nil
}
