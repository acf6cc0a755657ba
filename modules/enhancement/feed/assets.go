package feed

import (
	"context"
	"fmt"
	"time"
)

// SyncAssets mirrors the desk's assets into the tenant's inventory. What was imported there stays as it is; a host that the desk
// no longer lists is retired, after all of its list was read. Conflict, code FEED_HELD, when another run is under way.
func (f *Feed) SyncAssets(ctx context.Context, tenantID string, progress func(Progress)) (Result, error) {
	return f.syncAssets(ctx, tenantID, 0, progress)
}

func (f *Feed) syncAssets(ctx context.Context, tenantID string, minAge time.Duration, progress func(Progress)) (Result, error) {
	_, ok, err := f.listable(ctx, tenantID)
	if err != nil || !ok {
		return Result{Kind: KindAssets, Outcome: OutcomeSkipped}, err
	}
	return f.hold(ctx, tenantID, KindAssets, minAge, func(ctx context.Context, r *run) error {
		mirror, err := f.deps.Hosts.Mirror(ctx, tenantID)
		if err != nil {
			return fmt.Errorf("begin to mirror assets: %w", err)
		}
		for next := 1; next > 0; {
			var page []Asset
			start := next
			err := f.patiently(ctx, func() (err error) {
				page, next, err = f.deps.Desk.ListAssets(ctx, tenantID, start)
				return err
			})
			if err != nil {
				return fmt.Errorf("list assets: %w", err)
			}
			change, skipped, err := mirror.Put(ctx, page)
			if err != nil {
				return fmt.Errorf("keep assets: %w", err)
			}
			r.counts.Listed += len(page)
			r.counts.Skipped += skipped
			r.counts.add(change)
			if err := r.advance(ctx); err != nil {
				return err
			}
			if progress != nil {
				progress(Progress{Counts: r.counts})
			}
		}
		retired, err := mirror.Close(ctx)
		if err != nil {
			return fmt.Errorf("retire assets that are gone: %w", err)
		}
		r.counts.Removed = retired
		return nil
	})
}
