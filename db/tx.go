package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

// ErrNoTenant is returned for an empty tenant, before anything reaches the database.
var ErrNoTenant = fault.New(fault.Internal, "a tenant transaction needs a tenant")

// rollbackTimeout bounds the rollback of a transaction whose caller has gone.
const rollbackTimeout = 5 * time.Second

// InTenantTx runs fn in a transaction that sees and writes the rows of one tenant only. It commits when fn returns nil.
func (d *DB) InTenantTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if tenantID == "" {
		return ErrNoTenant
	}
	return d.inTx(ctx, tenantID, fn)
}

// InTx runs fn in a transaction without a tenant. Row-level security hides every tenant's rows from it.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.inTx(ctx, "", fn)
}

// inTx is the one place in the tree that begins and commits. The rollback ignores the caller's cancellation: with the dead
// context pgx would throw the connection away, and a burst of cancelled requests would empty the pool.
func (d *DB) inTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) (err error) {
	tx, err := d.pool.Begin(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if rerr := tx.Rollback(cleanup); rerr != nil && !errors.Is(rerr, pgx.ErrTxClosed) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", rerr))
		}
	}()
	if tenantID != "" {
		if _, err := tx.Exec(ctx, `SELECT set_config('app.current_tenant_id', $1, true)`, tenantID); err != nil {
			return classify(fmt.Errorf("set tenant: %w", err))
		}
	}
	if err := fn(ctx, tx); err != nil {
		return classify(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return classify(fmt.Errorf("commit: %w", err))
	}
	committed = true
	return nil
}
