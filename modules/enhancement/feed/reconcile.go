package feed

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// eventCreated is the event of the deliveries that are made here, and of the webhooks that would have brought them.
const eventCreated = "ticket_created"

// Reconcile hands on tickets that were created lately and that no delivery has told us of. A webhook that comes later for
// such a ticket is recorded and makes no second note.
func (f *Feed) Reconcile(ctx context.Context, tenantID string) (Result, error) {
	return f.reconcile(ctx, tenantID, 0)
}

func (f *Feed) reconcile(ctx context.Context, tenantID string, minAge time.Duration) (Result, error) {
	skipped := Result{Kind: KindReconcile, Outcome: OutcomeSkipped}
	t, ok, err := f.listable(ctx, tenantID)
	if err != nil {
		return skipped, err
	}
	if t.Disabled {
		return skipped, f.forgetCreated(ctx, tenantID)
	}
	if !ok {
		return skipped, nil
	}
	return f.hold(ctx, tenantID, KindReconcile, minAge, func(ctx context.Context, r *run) error {
		from := r.beginReconcile(t)
		return r.eachPage(ctx, from, byCreation, func(ctx context.Context, rows []Brief, last time.Time) error {
			r.passed(last)
			return r.receive(ctx, rows, from)
		})
	})
}

// beginReconcile decides from when on tickets are looked at. The first run sets the floor beneath which none ever is.
func (r *run) beginReconcile(t Tenant) time.Time {
	now, cfg := r.feed.deps.Clock(), r.feed.cfg
	if r.state.Since == nil {
		floor := latest(t.OnboardedAt, now.Add(-cfg.ReconcileWindow))
		r.state.Since = &floor
	}
	from := latest(*r.state.Since, now.Add(-cfg.ReconcileMaxAge))
	if r.state.CursorAt == nil {
		return from
	}
	return latest(from, r.state.CursorAt.Add(-cfg.ReconcileWindow))
}

// receive hands on the tickets of a page that were never seen, and stores how far the run has come, in one transaction.
func (r *run) receive(ctx context.Context, rows []Brief, from time.Time) error {
	var due []Brief
	for _, b := range rows {
		if r.due(b, from) {
			due = append(due, b)
		}
	}
	queued := 0
	counts := r.counts
	err := r.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		unseen, err := unseenTx(ctx, tx, r.tenantID, due)
		if err != nil {
			return err
		}
		queued = 0
		for _, b := range unseen {
			fresh, err := r.feed.deps.Receiver.ReceiveTx(ctx, tx, deliveryOf(r.tenantID, b))
			if err != nil {
				return fmt.Errorf("receive ticket: %w", err)
			}
			if fresh {
				queued++
			}
		}
		r.counts.Queued = counts.Queued + queued
		r.counts.Skipped = counts.Skipped + len(rows) - queued
		return advanceTx(ctx, tx, r)
	})
	if err != nil {
		r.counts = counts
	}
	return err
}

// due reports whether a ticket should have its note by now. The desk's own filter is not relied upon: an old ticket must not
// get one.
func (r *run) due(b Brief, from time.Time) bool {
	return !b.ServiceRequest && !b.finished() && !b.CreatedAt.Before(from) &&
		!b.CreatedAt.After(r.feed.deps.Clock().Add(-r.feed.cfg.ReconcileGrace))
}

// deliveryOf gives one ticket one key for ever, so that a second look adds nothing.
func deliveryOf(tenantID string, b Brief) Delivery {
	key := sha256.Sum256([]byte("reconcile\x00" + b.ID))
	return Delivery{
		TenantID: tenantID, Key: key[:], Event: eventCreated, TicketID: b.ID, CorrelationID: "reconcile",
		Subject: b.Subject, Priority: b.Priority, CreatedAt: b.CreatedAt,
	}
}

// forgetCreated moves the floor of a disabled tenant to now: what was created meanwhile gets no note when it is enabled.
func (f *Feed) forgetCreated(ctx context.Context, tenantID string) error {
	return f.deps.DB.InTenantTx(ctx, tenantID, func(ctx context.Context, tx pgx.Tx) error {
		return raiseFloorTx(ctx, tx, tenantID, f.deps.Clock())
	})
}
