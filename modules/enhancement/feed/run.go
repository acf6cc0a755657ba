package feed

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

// The kinds of feed.
const (
	KindTickets   = "tickets"
	KindSolutions = "solutions"
	KindReconcile = "reconcile"
	KindAssets    = "assets"
)

// The outcomes of a run.
const (
	OutcomeOK = "ok"
	// OutcomePartial is a run that was stopped; the next one goes on from there.
	OutcomePartial = "partial"
	OutcomeFailed  = "failed"
	// OutcomeSkipped is a tenant that is disabled or whose system cannot be listed.
	OutcomeSkipped = "skipped"
)

var (
	errHeld = fault.New(fault.Conflict,
		"another run of this feed is under way for the tenant, or one died within the last minute: try again then").WithCode("FEED_HELD")
	errLost = fault.New(fault.Conflict, "another run has taken this feed over").WithCode("FEED_LOST")
)

// Counts say what a run did.
type Counts struct {
	// Listed counts rows that the desk listed.
	Listed int `json:"listed"`
	// Fetched counts tickets that were read in full.
	Fetched   int `json:"fetched"`
	Added     int `json:"added"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	// Skipped counts rows that were not wanted: unsolved tickets for the history, solved ones for reconciling.
	Skipped int `json:"skipped"`
	Removed int `json:"removed"`
	// Queued counts tickets handed on to be enhanced.
	Queued int `json:"queued"`
}

func (c *Counts) add(change Change) {
	c.Added += change.Added
	c.Updated += change.Updated
	c.Unchanged += change.Unchanged
}

// Result tells how a run ended.
type Result struct {
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"`
	Counts
}

// run is one holder of a feed's lease.
type run struct {
	feed     *Feed
	tenantID string
	kind     string
	lease    uuid.UUID
	state    State
	counts   Counts
}

// hold runs work while it holds the feed's lease. minAge leaves alone a feed that ended well more recently.
func (f *Feed) hold(ctx context.Context, tenantID, kind string, minAge time.Duration, work func(context.Context, *run) error) (Result, error) {
	r := &run{feed: f, tenantID: tenantID, kind: kind, lease: uuid.New()}
	if err := r.claim(ctx, minAge); err != nil {
		return Result{Kind: kind, Outcome: OutcomeFailed}, err
	}
	working, stop := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		r.renewUntil(working, stop)
	}()
	err := work(working, r)
	if lost := context.Cause(working); errors.Is(lost, errLost) {
		err = lost
	}
	stop(nil)
	<-renewing
	return r.finish(ctx, err)
}

// renewUntil keeps the lease until ctx ends. A lease that is lost, or could not be renewed before it ran out, ends the work:
// somebody else may be at it.
func (r *run) renewUntil(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(r.feed.leaseTime / 3)
	defer ticker.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := r.tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return renewTx(ctx, tx, r) })
		if err == nil {
			renewed = time.Now()
		} else if errors.Is(err, errLost) || time.Since(renewed) > r.feed.leaseTime {
			stop(errLost)
			return
		}
	}
}

func (r *run) tx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return r.feed.deps.DB.InTenantTx(ctx, r.tenantID, fn)
}

func (r *run) claim(ctx context.Context, minAge time.Duration) error {
	return r.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		state, err := claimTx(ctx, tx, r, minAge)
		if err != nil {
			return err
		}
		r.state = state
		return nil
	})
}

// advance stores how far the run has come.
func (r *run) advance(ctx context.Context) error {
	return r.tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return advanceTx(ctx, tx, r) })
}

// finishTimeout bounds the last write of a run whose caller has gone.
const finishTimeout = 5 * time.Second

// finish gives the lease back and shows how the run ended, also when the caller is gone.
func (r *run) finish(ctx context.Context, err error) (Result, error) {
	res := Result{Kind: r.kind, Outcome: OutcomeOK, Counts: r.counts}
	message := ""
	switch {
	case err == nil:
	case ctx.Err() != nil:
		res.Outcome = OutcomePartial
	default:
		res.Outcome, message = OutcomeFailed, "an internal error"
		var f *fault.Error
		if errors.As(err, &f) {
			message = f.Message
		}
	}
	r.feed.metrics.ended(r.kind, res.Outcome, err, r.counts)
	if errors.Is(err, errLost) {
		return res, err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	return res, errors.Join(err, r.tx(closing, func(ctx context.Context, tx pgx.Tx) error {
		return finishTx(ctx, tx, r, res.Outcome, message)
	}))
}

const (
	// defaultWait is for a desk that limits requests and does not say for how long.
	defaultWait = 30 * time.Second
	// maxWaits bounds how often in a row a call is held off.
	maxWaits = 20
)

// patiently calls until the desk no longer limits us. It gives up when the wait would outlast the context.
func (f *Feed) patiently(ctx context.Context, call func() error) error {
	for waits := 0; ; waits++ {
		err := call()
		if !fault.Is(err, fault.Limited) || waits == maxWaits {
			return err
		}
		wait := fault.RetryAfterOf(err)
		if wait <= 0 {
			wait = defaultWait
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return err
		}
		if f.sleep(ctx, wait) != nil {
			return err
		}
	}
}
