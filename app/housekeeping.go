package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/app/housekeeping"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/feed"
	"aiagents/modules/tenant"
)

// The clocks and limits of housekeeping.
const (
	sweepEvery  = 5 * time.Minute
	hourly      = time.Hour
	daily       = 24 * time.Hour
	recoverTime = time.Minute
	walkTime    = 30 * time.Minute
)

// The arguments of the tasks' jobs. Their kinds are the tasks' names, and are in queues that outlive deploys.
type (
	recoverArgs   struct{}
	sweepArgs     struct{}
	reconcileArgs struct{}
	ticketsArgs   struct{}
	solutionsArgs struct{}
	assetsArgs    struct{}
	retainArgs    struct{}
	expireArgs    struct{}
	purgeArgs     struct{}
	tidyArgs      struct{}
	jobsArgs      struct{}
	canaryArgs    struct{}
	embedArgs     struct{}
)

func (recoverArgs) Kind() string   { return "recover_enhancements" }
func (sweepArgs) Kind() string     { return "sweep_notes" }
func (reconcileArgs) Kind() string { return "reconcile_tickets" }
func (ticketsArgs) Kind() string   { return "sync_tickets" }
func (solutionsArgs) Kind() string { return "sync_solutions" }
func (assetsArgs) Kind() string    { return "sync_assets" }
func (retainArgs) Kind() string    { return "retain_history" }
func (expireArgs) Kind() string    { return "expire_tickets" }
func (purgeArgs) Kind() string     { return "purge_inventory" }
func (tidyArgs) Kind() string      { return "tidy_tenants" }
func (jobsArgs) Kind() string      { return "check_finished_jobs" }
func (canaryArgs) Kind() string    { return canaryTask }
func (embedArgs) Kind() string     { return "embed_tickets" }

// newHousekeeping is every periodic task of the program, on one screen.
func (s *system) newHousekeeping(cfg Config, logger *slog.Logger) {
	m, w := housekeeping.New(s.db), s.workers
	s.housekeeping = m
	housekeeping.Add[recoverArgs](m, w, housekeeping.Task{
		Does: "queue pending enhancements again whose job has vanished", Every: cfg.Enhancement.OrphanAfter, Limit: recoverTime,
		Run: wet(s.enhancements.Recover),
	})
	housekeeping.Add[reconcileArgs](m, w, housekeeping.Task{
		Does: "queue tickets of the desks whose webhook never came", Every: feed.Tick(cfg.Feed.ReconcileInterval),
		Limit: 5 * time.Minute, Run: wet(s.feed.ReconcileAll),
	})
	housekeeping.Add[sweepArgs](m, w, housekeeping.Task{
		Does: "settle notes of unknown fate and remove doubles", Every: sweepEvery, Limit: sweepEvery,
		Run: wet(func(ctx context.Context) (housekeeping.Rows, error) { return s.sweepNotes(ctx, logger) }),
	})
	housekeeping.Add[ticketsArgs](m, w, housekeeping.Task{
		Does: "fetch solved tickets from the desks", Every: feed.Tick(cfg.Feed.TicketsInterval), Limit: walkTime,
		Run: wet(s.feed.SyncAllTickets),
	})
	housekeeping.Add[solutionsArgs](m, w, housekeeping.Task{
		Does: "mirror the desks' approved solutions", Every: feed.Tick(cfg.Feed.SolutionsInterval), Limit: walkTime,
		Run: wet(s.feed.SyncAllSolutions),
	})
	housekeeping.Add[assetsArgs](m, w, housekeeping.Task{
		Does: "mirror the desks' assets into inventories, for tenants that want it", Every: feed.Tick(cfg.Feed.AssetsInterval),
		Limit: walkTime, Run: wet(s.feed.SyncAllAssets),
	})
	housekeeping.Add[retainArgs](m, w, housekeeping.Task{
		Does: "delete enhancements past enhancement.history_retention", Every: hourly, Limit: hourly, DryRun: true,
		Run: s.enhancements.Retain,
	})
	housekeeping.Add[expireArgs](m, w, housekeeping.Task{
		Does: "delete past tickets beyond a tenant's ticket_history_days", Every: daily, Limit: hourly, DryRun: true, Run: s.expireTickets,
	})
	housekeeping.Add[purgeArgs](m, w, housekeeping.Task{
		Does: "delete hosts retired longer than housekeeping.inventory_retention", Every: daily, Limit: hourly, DryRun: true,
		Run: func(ctx context.Context, dryRun bool) (housekeeping.Rows, error) {
			before := time.Now().Add(-cfg.Housekeeping.InventoryRetention)
			return s.eachTenant(ctx, func(id string) (int64, error) { return s.inventory.Purge(ctx, id, before, dryRun) })
		},
	})
	housekeeping.Add[tidyArgs](m, w, housekeeping.Task{
		Does: "delete audit entries past tenant.audit_retention, and finish deletions of tenants", Every: daily, Limit: hourly, DryRun: true,
		Run: s.tenants.Tidy,
	})
	housekeeping.Add[jobsArgs](m, w, housekeeping.Task{
		Does: "check that the queue's leader removes finished jobs in time", Every: hourly, Limit: recoverTime,
		Run: wet(func(ctx context.Context) (housekeeping.Rows, error) {
			return s.checkFinishedJobs(ctx, cfg.Housekeeping)
		}),
	})
	var every time.Duration
	if cfg.Housekeeping.Canary {
		every = canaryEvery
	}
	housekeeping.Add[canaryArgs](m, w, housekeeping.Task{
		Does: "send a synthetic webhook through the whole system and wait for its note", Every: every, Limit: canaryEvery,
		Run: wet(s.canary.sing),
	})
	if cfg.Retrieval.Embeddings.Enabled {
		housekeeping.Add[embedArgs](m, w, housekeeping.Task{
			Does: "embed past tickets for the search by meaning", Every: embedEvery, Limit: 10 * embedEvery, Run: wet(s.embedTickets),
		})
	}
}

// wet adapts a task that has no dry run.
func wet(run func(context.Context) (housekeeping.Rows, error)) func(context.Context, bool) (housekeeping.Rows, error) {
	return func(ctx context.Context, _ bool) (housekeeping.Rows, error) { return run(ctx) }
}

// eachTenant does something for every tenant, and goes on when it fails for one.
func (s *system) eachTenant(ctx context.Context, do func(tenantID string) (int64, error)) (housekeeping.Rows, error) {
	ids, err := s.tenants.IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	rows := housekeeping.Rows{}
	var all error
	for _, id := range ids {
		if ctx.Err() != nil {
			return rows, errors.Join(all, ctx.Err())
		}
		n, err := do(id)
		if n > 0 {
			rows[id] = n
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("tenant %s: %w", id, err))
		}
	}
	return rows, all
}

// sweepNotes counts the notes that it settled and the doubles that it removed.
func (s *system) sweepNotes(ctx context.Context, logger *slog.Logger) (housekeeping.Rows, error) {
	return s.eachTenant(ctx, func(id string) (int64, error) {
		if id == tenant.Canary {
			return 0, nil // its notes stand nowhere
		}
		result, err := s.notes.Sweep(ctx, id)
		if result.DuplicatesRemoved > 0 || result.DuplicatesLeft > 0 {
			logger.WarnContext(ctx, "doubled notes were found", "tenant_id", id,
				"removed", result.DuplicatesRemoved, "left", result.DuplicatesLeft)
		}
		return int64(len(result.Settled) + result.DuplicatesRemoved), err
	})
}

// expireTickets deletes past tickets that a tenant does not want to keep for ever.
func (s *system) expireTickets(ctx context.Context, dryRun bool) (housekeeping.Rows, error) {
	return s.eachTenant(ctx, func(id string) (int64, error) {
		t, err := s.tenants.Get(ctx, id)
		days := t.Preferences.TicketHistoryDays
		if err != nil || days == 0 {
			return 0, err
		}
		return s.tickets.Expire(ctx, id, time.Now().AddDate(0, 0, -days), dryRun)
	})
}

// finishedSlack is how much longer than its retention a finished job may stay: River's leader cleans every 30 s, and a new
// leader needs a moment.
const finishedSlack = time.Hour

// checkFinishedJobs fails when finished jobs are not removed. River does that by itself and reports nothing of it, and a queue
// that only grows slows every fetch.
func (s *system) checkFinishedJobs(ctx context.Context, cfg housekeeping.Config) (housekeeping.Rows, error) {
	var late int64
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT count(*) FROM (
			  SELECT 1 FROM river_job
			  WHERE state = 'completed' AND finalized_at < now() - $1::interval
			     OR state = 'cancelled' AND finalized_at < now() - $2::interval
			     OR state = 'discarded' AND finalized_at < now() - $3::interval
			  LIMIT 100000) AS late`,
			cfg.CompletedJobs+finishedSlack, cfg.CancelledJobs+finishedSlack, cfg.DiscardedJobs+finishedSlack).Scan(&late)
	})
	if err != nil {
		return nil, fmt.Errorf("count finished jobs: %w", err)
	}
	if late > 0 {
		return housekeeping.Rows{"": late}, fault.Newf(fault.Unavailable,
			"%d finished jobs are an hour past their retention: the queue's leader does not remove them; look for its warnings in the workers' logs", late)
	}
	return nil, nil
}
