package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"aiagents/internal/fault"
)

// SyncOptions are the wishes of whoever asks for a sync.
type SyncOptions struct {
	// Since is how far back tickets are wanted, by their last update; zero goes on where the last run ended. A time before
	// that of earlier runs starts again from there; any other changes nothing.
	Since time.Time
	// Progress is called after each page; nil is none.
	Progress func(Progress)
}

// Progress tells how far a run has come.
type Progress struct {
	Counts
	// From and Through are the times, of last update, between which everything has been read. Both are zero for solutions.
	From    time.Time
	Through time.Time
}

// fetchers is how many tickets of a page are read at once. The desk's rate limit holds beneath it.
const fetchers = 4

// SyncTickets brings in the tenant's solved tickets. A stopped run is taken up again by the next one. Conflict, code
// FEED_HELD, when another run is under way.
func (f *Feed) SyncTickets(ctx context.Context, tenantID string, opts SyncOptions) (Result, error) {
	return f.syncTickets(ctx, tenantID, 0, opts)
}

func (f *Feed) syncTickets(ctx context.Context, tenantID string, minAge time.Duration, opts SyncOptions) (Result, error) {
	_, ok, err := f.listable(ctx, tenantID)
	if err != nil || !ok {
		return Result{Kind: KindTickets, Outcome: OutcomeSkipped}, err
	}
	return f.hold(ctx, tenantID, KindTickets, minAge, func(ctx context.Context, r *run) error {
		from := r.beginTickets(opts.Since)
		return r.eachPage(ctx, from, byUpdate, func(ctx context.Context, rows []Brief, last time.Time) error {
			if err := r.keepTickets(ctx, rows); err != nil {
				return err
			}
			r.passed(last)
			if err := r.advance(ctx); err != nil {
				return err
			}
			if opts.Progress != nil {
				opts.Progress(Progress{Counts: r.counts, From: *r.state.Since, Through: *r.state.CursorAt})
			}
			return nil
		})
	})
}

// beginTickets decides where to begin, and records how far back was asked for.
func (r *run) beginTickets(asked time.Time) time.Time {
	first := asked
	if first.IsZero() {
		first = r.feed.deps.Clock().Add(-r.feed.cfg.FirstSync)
	}
	if r.state.Since == nil || !asked.IsZero() && asked.Before(*r.state.Since) {
		r.state.Since, r.state.CursorAt = &first, nil
	}
	if r.state.CursorAt == nil {
		return *r.state.Since
	}
	return latest(*r.state.Since, r.state.CursorAt.Add(-r.feed.cfg.TicketsOverlap))
}

// keepTickets fetches and stores those tickets of a page that are solved.
func (r *run) keepTickets(ctx context.Context, rows []Brief) error {
	fetched := make([]Ticket, len(rows))
	group, fetching := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	wanted := 0
	for i, b := range rows {
		if !b.finished() {
			continue
		}
		wanted++
		group.Go(func() (err error) {
			fetched[i], err = r.fetch(fetching, b)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	solved := slices.DeleteFunc(fetched, func(t Ticket) bool { return strings.TrimSpace(t.Resolution) == "" })
	r.counts.Fetched += wanted
	r.counts.Skipped += len(rows) - len(solved)
	if len(solved) == 0 {
		return nil
	}
	change, err := r.feed.deps.Tickets.PutTickets(ctx, r.tenantID, solved)
	if err != nil {
		return fmt.Errorf("keep tickets: %w", err)
	}
	r.counts.add(change)
	return nil
}

// fetch reads one ticket. One that is gone, or is somebody else's, comes back without a resolution.
func (r *run) fetch(ctx context.Context, b Brief) (Ticket, error) {
	var t Ticket
	err := r.feed.patiently(ctx, func() (err error) {
		t, err = r.feed.deps.Desk.Ticket(ctx, r.tenantID, b.ID)
		return err
	})
	var f *fault.Error
	if fault.Is(err, fault.NotFound) || errors.As(err, &f) && f.Code == "FOREIGN_ACCOUNT" {
		return Ticket{}, nil
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("fetch ticket: %w", err)
	}
	if t.ResolvedAt.IsZero() {
		t.ResolvedAt = b.UpdatedAt
	}
	t.Source = "sync"
	return t, nil
}

// finishedStatuses are the words of desks for a ticket that nobody works on any more.
var finishedStatuses = []string{
	"resolved", "closed", "cancelled", "canceled", "completed", "rejected", "gelöst", "geschlossen", "abgeschlossen", "erledigt",
	"résolu", "fermé", "clôturé", "resuelto", "cerrado", "risolto", "chiuso", "opgelost", "gesloten", "resolvido", "fechado",
}

func (b Brief) finished() bool {
	return !b.ResolvedAt.IsZero() || slices.Contains(finishedStatuses, strings.ToLower(strings.TrimSpace(b.Status)))
}

// passed moves the cursor. It stays behind our own clock: a time in the future, from a desk whose clock is ahead, would make
// later runs begin behind what is yet to come.
func (r *run) passed(last time.Time) {
	if now := r.feed.deps.Clock(); last.After(now) {
		last = now
	}
	if r.state.CursorAt == nil || last.After(*r.state.CursorAt) {
		r.state.CursorAt = &last
	}
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }
