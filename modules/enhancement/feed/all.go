package feed

import (
	"context"
	"time"
)

// The calls below feed all tenants, a few at once, and leave alone those that were fed a moment ago. They return how many rows
// changed for each, and every tenant's failure. What they did not reach before ctx ended is left to the next call.

// ReconcileAll hands on the tickets of all tenants whose webhook never came.
func (f *Feed) ReconcileAll(ctx context.Context) (map[string]int64, error) {
	return f.walk(ctx, func(ctx context.Context, id string) (Result, error) {
		return f.reconcile(ctx, id, minAge(f.cfg.ReconcileInterval))
	})
}

// SyncAllTickets fetches the solved tickets of all tenants.
func (f *Feed) SyncAllTickets(ctx context.Context) (map[string]int64, error) {
	return f.walk(ctx, func(ctx context.Context, id string) (Result, error) {
		return f.syncTickets(ctx, id, minAge(f.cfg.TicketsInterval), SyncOptions{})
	})
}

// SyncAllSolutions mirrors the articles of all tenants' desks.
func (f *Feed) SyncAllSolutions(ctx context.Context) (map[string]int64, error) {
	return f.walk(ctx, func(ctx context.Context, id string) (Result, error) {
		return f.syncSolutions(ctx, id, minAge(f.cfg.SolutionsInterval), nil)
	})
}

// SyncAllAssets mirrors the assets of the desks whose tenants want it.
func (f *Feed) SyncAllAssets(ctx context.Context) (map[string]int64, error) {
	return f.walk(ctx, func(ctx context.Context, id string) (Result, error) {
		t, err := f.deps.Tenants.Tenant(ctx, id)
		if err != nil || !t.Assets {
			return Result{Kind: KindAssets, Outcome: OutcomeSkipped}, err
		}
		return f.syncAssets(ctx, id, minAge(f.cfg.AssetsInterval), nil)
	})
}

// maxTick is how long a feed that failed or was stopped waits at most until it is tried again.
const maxTick = 15 * time.Minute

// Tick is how often a feed of the given interval should be called for all tenants: feed_state knows which of them were fed a
// moment ago. It is 0 for a feed that is switched off.
func Tick(interval time.Duration) time.Duration { return min(interval, maxTick) }

// minAge is how long a tenant is left alone after a run that ended well. Ticks are not exact, so half of one is forgiven.
func minAge(interval time.Duration) time.Duration { return interval - Tick(interval)/2 }
