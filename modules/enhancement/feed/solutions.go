package feed

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Collection is where the desk's solutions are kept among the articles.
const Collection = "servicedesk"

// SyncSolutions mirrors the desk's solutions. Those that the desk no longer lists are removed, after all of its list was
// read. Conflict, code FEED_HELD, when another run is under way.
func (f *Feed) SyncSolutions(ctx context.Context, tenantID string, progress func(Progress)) (Result, error) {
	return f.syncSolutions(ctx, tenantID, 0, progress)
}

func (f *Feed) syncSolutions(ctx context.Context, tenantID string, minAge time.Duration, progress func(Progress)) (Result, error) {
	_, ok, err := f.listable(ctx, tenantID)
	if err != nil || !ok {
		return Result{Kind: KindSolutions, Outcome: OutcomeSkipped}, err
	}
	return f.hold(ctx, tenantID, KindSolutions, minAge, func(ctx context.Context, r *run) error {
		var ids []string
		for next := 1; next > 0; {
			var page []Solution
			start := next
			err := f.patiently(ctx, func() (err error) {
				page, next, err = f.deps.Desk.ListSolutions(ctx, tenantID, start)
				return err
			})
			if err != nil {
				return fmt.Errorf("list solutions: %w", err)
			}
			kept, err := r.keepSolutions(ctx, page)
			if err != nil {
				return err
			}
			ids = append(ids, kept...)
			if err := r.advance(ctx); err != nil {
				return err
			}
			if progress != nil {
				progress(Progress{Counts: r.counts})
			}
		}
		removed, err := f.deps.Articles.KeepArticles(ctx, tenantID, Collection, ids)
		if err != nil {
			return fmt.Errorf("remove solutions that are gone: %w", err)
		}
		r.counts.Removed = removed
		return nil
	})
}

// keepSolutions stores a page and returns the ids of its articles. A solution without text has nothing to be found by.
func (r *run) keepSolutions(ctx context.Context, page []Solution) ([]string, error) {
	r.counts.Listed += len(page)
	var ids []string
	var articles []Article
	for _, s := range page {
		if s.ID == "" || strings.TrimSpace(s.Body) == "" {
			r.counts.Skipped++
			continue
		}
		a := Article{ID: "solution-" + s.ID, Title: strings.TrimSpace(s.Title), Body: s.Body, URL: s.URL, Collection: Collection, Source: "sync"}
		if a.Title == "" {
			a.Title = "Solution " + s.ID
		}
		articles, ids = append(articles, a), append(ids, a.ID)
	}
	if len(articles) == 0 {
		return nil, nil
	}
	change, err := r.feed.deps.Articles.PutArticles(ctx, r.tenantID, articles)
	if err != nil {
		return nil, fmt.Errorf("keep solutions: %w", err)
	}
	r.counts.add(change)
	return ids, nil
}
