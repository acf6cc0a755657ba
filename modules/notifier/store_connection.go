package notifier

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// connectionRow is what all workers share about one tenant's desk.
type connectionRow struct {
	NoteKey      string
	PausedAt     *time.Time
	PauseReason  string
	NextProbeAt  *time.Time
	PostedLately bool
}

func (s store) connection(ctx context.Context, tenantID string) (row connectionRow, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT note_key, paused_at, pause_reason, next_probe_at,
			       coalesce(last_posted_at > now() - interval '10 minutes', false) AS posted_lately
			FROM desk_connections WHERE tenant_id = $1`, tenantID)
		if err != nil {
			return fmt.Errorf("read desk connection: %w", err)
		}
		row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[connectionRow])
		if err != nil && !noRows(err) {
			return fmt.Errorf("read desk connection: %w", err)
		}
		return nil
	})
	return row, err
}

// claimProbe lets one worker try a paused connection once it is due, and tells the others how long to wait.
func (s store) claimProbe(ctx context.Context, tenantID string, interval time.Duration) (mine bool, left time.Duration, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE desk_connections SET next_probe_at = now() + make_interval(secs => $2), updated_at = now()
			WHERE tenant_id = $1 AND paused_at IS NOT NULL AND next_probe_at <= now()`, tenantID, interval.Seconds())
		if err != nil {
			return fmt.Errorf("claim probe: %w", err)
		}
		mine = tag.RowsAffected() == 1
		err = tx.QueryRow(ctx, `
			SELECT coalesce(next_probe_at, now()) - now() FROM desk_connections WHERE tenant_id = $1`, tenantID).Scan(&left)
		if err != nil && !noRows(err) {
			return fmt.Errorf("read next probe: %w", err)
		}
		return nil
	})
	return mine, left, err
}

func (s store) pause(ctx context.Context, tenantID, reason string, probeIn time.Duration) error {
	return s.exec(ctx, tenantID, "pause connection", `
		INSERT INTO desk_connections (tenant_id, paused_at, pause_reason, next_probe_at)
		VALUES ($1, now(), $2, now() + make_interval(secs => $3))
		ON CONFLICT (tenant_id) DO UPDATE
		SET paused_at = coalesce(desk_connections.paused_at, now()), pause_reason = $2,
		    next_probe_at = now() + make_interval(secs => $3), updated_at = now()`, tenantID, reason, probeIn.Seconds())
}

func (s store) resume(ctx context.Context, tenantID string) error {
	return s.exec(ctx, tenantID, "resume connection", `
		UPDATE desk_connections SET paused_at = NULL, pause_reason = '', next_probe_at = NULL, updated_at = now()
		WHERE tenant_id = $1`, tenantID)
}

func (s store) rememberNoteKey(ctx context.Context, tenantID, key string) error {
	return s.exec(ctx, tenantID, "remember note key", `
		INSERT INTO desk_connections (tenant_id, note_key) VALUES ($1, $2)
		ON CONFLICT (tenant_id) DO UPDATE SET note_key = $2, updated_at = now()`, tenantID, key)
}

// tokenRow is the shared access token, with its times as the database's clock sees them.
type tokenRow struct {
	Sealed    []byte
	IssuedAt  *time.Time
	ExpiresAt *time.Time
	Now       time.Time
}

func (r tokenRow) left() time.Duration {
	if r.ExpiresAt == nil {
		return 0
	}
	return r.ExpiresAt.Sub(r.Now)
}

func (r tokenRow) age() time.Duration {
	if r.IssuedAt == nil {
		return 0
	}
	return r.Now.Sub(*r.IssuedAt)
}

func (s store) token(ctx context.Context, tenantID string) (row tokenRow, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT access_token_encrypted AS sealed, access_token_issued_at AS issued_at,
			       access_token_expires_at AS expires_at, now() AS now
			FROM desk_connections WHERE tenant_id = $1`, tenantID)
		if err != nil {
			return fmt.Errorf("read access token: %w", err)
		}
		row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[tokenRow])
		if err != nil && !noRows(err) {
			return fmt.Errorf("read access token: %w", err)
		}
		return nil
	})
	return row, err
}

// claimLease makes the caller the only one who refreshes the token, if nobody is and the token is still the one it saw.
func (s store) claimLease(ctx context.Context, tenantID string, seen *time.Time, lease time.Duration) (mine bool, err error) {
	err = s.db.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO desk_connections (tenant_id) VALUES ($1) ON CONFLICT (tenant_id) DO NOTHING`, tenantID); err != nil {
			return fmt.Errorf("insert desk connection: %w", err)
		}
		tag, err := tx.Exec(ctx, `
			UPDATE desk_connections SET access_token_lease_until = now() + make_interval(secs => $3), updated_at = now()
			WHERE tenant_id = $1 AND (access_token_lease_until IS NULL OR access_token_lease_until <= now())
			  AND access_token_issued_at IS NOT DISTINCT FROM $2::timestamptz`, tenantID, seen, lease.Seconds())
		if err != nil {
			return fmt.Errorf("claim token lease: %w", err)
		}
		mine = tag.RowsAffected() == 1
		return nil
	})
	return mine, err
}

func (s store) storeToken(ctx context.Context, tenantID string, sealed []byte, life time.Duration) error {
	return s.exec(ctx, tenantID, "store access token", `
		UPDATE desk_connections
		SET access_token_encrypted = $2, access_token_issued_at = now(), access_token_lease_until = NULL,
		    access_token_expires_at = now() + make_interval(secs => $3), updated_at = now()
		WHERE tenant_id = $1`, tenantID, sealed, life.Seconds())
}

// endLease lets the next worker refresh after a while.
func (s store) endLease(ctx context.Context, tenantID string, block time.Duration) error {
	return s.exec(ctx, tenantID, "end token lease", `
		UPDATE desk_connections SET access_token_lease_until = now() + make_interval(secs => $2), updated_at = now()
		WHERE tenant_id = $1`, tenantID, block.Seconds())
}
