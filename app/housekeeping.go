package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

// The clocks of housekeeping. Each job is unique in its period, however many leaders start it.
const (
	sweepEvery = 5 * time.Minute
	tidyEvery  = 24 * time.Hour
)

// sweepNotesArgs are the arguments of the job that settles notes of unknown fate and removes doubles.
type sweepNotesArgs struct{}

// Kind names the job in the queue.
func (sweepNotesArgs) Kind() string { return "sweep_notes" }

// InsertOpts keep one such job at a time.
func (sweepNotesArgs) InsertOpts() river.InsertOpts { return housekeepingOpts(sweepEvery) }

// tidyTenantsArgs are the arguments of the job that ends deletions and old audit entries.
type tidyTenantsArgs struct{}

// Kind names the job in the queue.
func (tidyTenantsArgs) Kind() string { return "tidy_tenants" }

// InsertOpts keep one such job at a time.
func (tidyTenantsArgs) InsertOpts() river.InsertOpts { return housekeepingOpts(tidyEvery) }

func housekeepingOpts(period time.Duration) river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Priority: 4, UniqueOpts: river.UniqueOpts{ByPeriod: period}}
}

// registerHousekeeping adds the workers of the jobs above.
func (s *system) registerHousekeeping(logger *slog.Logger) {
	river.AddWorker(s.workers, &sweepWorker{tenants: s.tenants, notes: s.notes, logger: logger})
	river.AddWorker(s.workers, &tidyWorker{tenants: s.tenants, tickets: s.tickets, logger: logger})
}

func housekeepingJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(sweepEvery), func() (river.JobArgs, *river.InsertOpts) {
			return sweepNotesArgs{}, nil
		}, &river.PeriodicJobOpts{ID: "sweep_notes"}),
		river.NewPeriodicJob(river.PeriodicInterval(tidyEvery), func() (river.JobArgs, *river.InsertOpts) {
			return tidyTenantsArgs{}, nil
		}, &river.PeriodicJobOpts{ID: "tidy_tenants", RunOnStart: true}),
	}
}

type sweepWorker struct {
	river.WorkerDefaults[sweepNotesArgs]
	tenants *tenant.Module
	notes   *notifier.Module
	logger  *slog.Logger
}

// Timeout is the period: a sweep over many slow desks may take long, and the next one goes on.
func (w *sweepWorker) Timeout(*river.Job[sweepNotesArgs]) time.Duration { return sweepEvery }

// Work sweeps tenant by tenant; a desk that is away keeps nobody else's notes from being settled.
func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[sweepNotesArgs]) error {
	ids, err := w.tenants.IDs(ctx)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	var all error
	for _, id := range ids {
		result, err := w.notes.Sweep(ctx, id)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("sweep notes of %s: %w", id, err))
			continue
		}
		if result.DuplicatesRemoved > 0 || result.DuplicatesLeft > 0 {
			w.logger.WarnContext(ctx, "doubled notes were found", "tenant_id", id,
				"removed", result.DuplicatesRemoved, "left", result.DuplicatesLeft)
		}
	}
	return all
}

type tidyWorker struct {
	river.WorkerDefaults[tidyTenantsArgs]
	tenants *tenant.Module
	tickets *retrieval.Store
	logger  *slog.Logger
}

// Timeout allows for a large deletion.
func (w *tidyWorker) Timeout(*river.Job[tidyTenantsArgs]) time.Duration { return time.Hour }

// Work removes what deleted tenants left, audit entries past their retention, and past tickets that a tenant does not want to
// keep for ever.
func (w *tidyWorker) Work(ctx context.Context, _ *river.Job[tidyTenantsArgs]) error {
	deleted, err := w.tenants.Tidy(ctx)
	expired, eerr := w.expireTickets(ctx)
	deleted, err = deleted+expired, errors.Join(err, eerr)
	if deleted > 0 {
		w.logger.InfoContext(ctx, "tidied tenants", "rows", deleted)
	}
	return err
}

func (w *tidyWorker) expireTickets(ctx context.Context) (int64, error) {
	ids, err := w.tenants.IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("list tenants: %w", err)
	}
	var total int64
	var all error
	for _, id := range ids {
		t, err := w.tenants.Get(ctx, id)
		if days := t.Preferences.TicketHistoryDays; err == nil && days > 0 {
			var expired int64
			expired, err = w.tickets.Expire(ctx, id, time.Now().AddDate(0, 0, -days))
			total += expired
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("expire tickets of %s: %w", id, err))
		}
	}
	return total, all
}
