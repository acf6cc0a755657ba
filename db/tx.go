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

// InTenantBatch is InTenantTx for statements that do not depend on each other's results: everything, from the tenant to the commit,
// travels in one round trip. queue adds the statements with what becomes of their results. The server runs them as one
// transaction, so one that fails undoes those before it. The error of a callback comes too late to undo anything: what must not
// happen, a statement's own conditions have to prevent.
func (d *DB) InTenantBatch(ctx context.Context, tenantID string, queue func(b *pgx.Batch)) error {
	if tenantID == "" {
		return ErrNoTenant
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	defer conn.Release()
	batch := &pgx.Batch{} // without BEGIN and COMMIT: the server makes one transaction of what comes before the sync
	d.queueTenant(batch, tenantID)
	queue(batch)
	return classify(conn.SendBatch(ctx, batch).Close())
}

// setTenant lasts until the end of the transaction. Behind it, the policies let through the rows of this tenant only.
const setTenant = `SELECT set_config('app.current_tenant_id', $1, true)`

// setTenantAndLimits is for connections of a pooler, which have no limits of their own.
const setTenantAndLimits = `SELECT set_config('app.current_tenant_id', $1, true), set_config('statement_timeout', $2, true),
	set_config('lock_timeout', $3, true), set_config('idle_in_transaction_session_timeout', $4, true)`

func (d *DB) queueTenant(batch *pgx.Batch, tenantID string) {
	if d.limits == "" {
		batch.Queue(setTenant, tenantID)
		return
	}
	batch.Queue(setTenantAndLimits, tenantID, d.limits, lockTimeout, idleTxTimeout)
}

// InTx runs fn in a transaction without a tenant. Row-level security hides every tenant's rows from it.
func (d *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.inTx(ctx, "", fn)
}

// inTx is the one place in the tree that commits what was begun. The rollback ignores the caller's cancellation: with the dead
// context pgx would throw the connection away, and a burst of cancelled requests would empty the pool.
func (d *DB) inTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) (err error) {
	tx, err := d.begin(ctx, tenantID)
	if err != nil {
		return err
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
	if err := fn(ctx, tx); err != nil {
		return classify(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return classify(fmt.Errorf("commit: %w", err))
	}
	committed = true
	return nil
}

// begin sends BEGIN and the tenant in one round trip; behind a pooler, where connections have none, the limits too.
func (d *DB) begin(ctx context.Context, tenantID string) (pgx.Tx, error) {
	unreachable := func(err error) error {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	if tenantID == "" && d.limits == "" {
		tx, err := d.pool.Begin(ctx)
		if err != nil {
			return nil, unreachable(err)
		}
		return tx, nil
	}
	batch := &pgx.Batch{}
	batch.BeginTx(pgx.TxOptions{}) //nolint:forbidigo // this is where they begin
	d.queueTenant(batch, tenantID)
	results := d.pool.SendBatch(ctx, batch)
	if err := results.Close(); err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		// A batch that failed before its BEGIN has left nothing to roll back, and says so.
		_ = results.Tx().Rollback(cleanup)
		return nil, unreachable(err)
	}
	return results.Tx(), nil
}
