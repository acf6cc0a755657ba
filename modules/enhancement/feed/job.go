package feed

import (
	"context"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Queue is the queue of the feeds' jobs. They run for minutes and must not take the place of a note, so it needs workers of
// its own: three are enough.
const Queue = "feed"

// ReconcileArgs are the arguments of the periodic job that looks for tickets whose webhook never came.
type ReconcileArgs struct{}

// Kind names the job in the queue.
func (ReconcileArgs) Kind() string { return "reconcile_tickets" }

// InsertOpts keep one such job at a time.
func (ReconcileArgs) InsertOpts() river.InsertOpts { return oneAtATime() }

// SyncTicketsArgs are the arguments of the periodic job that fetches solved tickets.
type SyncTicketsArgs struct{}

// Kind names the job in the queue.
func (SyncTicketsArgs) Kind() string { return "sync_tickets" }

// InsertOpts keep one such job at a time.
func (SyncTicketsArgs) InsertOpts() river.InsertOpts { return oneAtATime() }

// SyncSolutionsArgs are the arguments of the periodic job that mirrors the desks' articles.
type SyncSolutionsArgs struct{}

// Kind names the job in the queue.
func (SyncSolutionsArgs) Kind() string { return "sync_solutions" }

// InsertOpts keep one such job at a time.
func (SyncSolutionsArgs) InsertOpts() river.InsertOpts { return oneAtATime() }

// oneAtATime inserts no job while one of the kind waits or runs. A failed one is not repeated: the next tick goes on.
func oneAtATime() river.InsertOpts {
	return river.InsertOpts{
		Queue: Queue, MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

// Register adds the package's workers.
func (f *Feed) Register(workers *river.Workers) {
	river.AddWorker(workers, &worker[ReconcileArgs]{limit: 5 * time.Minute, work: func(ctx context.Context) error {
		return f.walk(ctx, func(ctx context.Context, id string) error {
			_, err := f.reconcile(ctx, id, minAge(f.cfg.ReconcileInterval))
			return err
		})
	}})
	river.AddWorker(workers, &worker[SyncTicketsArgs]{limit: 30 * time.Minute, work: func(ctx context.Context) error {
		return f.walk(ctx, func(ctx context.Context, id string) error {
			_, err := f.syncTickets(ctx, id, minAge(f.cfg.TicketsInterval), SyncOptions{})
			return err
		})
	}})
	river.AddWorker(workers, &worker[SyncSolutionsArgs]{limit: 30 * time.Minute, work: func(ctx context.Context) error {
		return f.walk(ctx, func(ctx context.Context, id string) error {
			_, err := f.syncSolutions(ctx, id, minAge(f.cfg.SolutionsInterval), nil)
			return err
		})
	}})
}

type worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	limit time.Duration
	work  func(ctx context.Context) error
}

// Timeout ends a walk over all tenants.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.limit }

// Work walks the tenants.
func (w *worker[A]) Work(ctx context.Context, _ *river.Job[A]) error { return w.work(ctx) }

// PeriodicJobs are the jobs that River's leader starts by the clock. They also run on its start: feed_state knows which
// tenants were fed a moment ago.
func (f *Feed) PeriodicJobs() []*river.PeriodicJob {
	var jobs []*river.PeriodicJob
	add := func(interval time.Duration, args river.JobArgs) {
		if interval > 0 {
			jobs = append(jobs, river.NewPeriodicJob(river.PeriodicInterval(tick(interval)),
				func() (river.JobArgs, *river.InsertOpts) { return args, nil },
				&river.PeriodicJobOpts{ID: args.Kind(), RunOnStart: true}))
		}
	}
	add(f.cfg.ReconcileInterval, ReconcileArgs{})
	add(f.cfg.TicketsInterval, SyncTicketsArgs{})
	add(f.cfg.SolutionsInterval, SyncSolutionsArgs{})
	return jobs
}

// maxTick is how long a feed that failed or was stopped waits at most until it is tried again.
const maxTick = 15 * time.Minute

func tick(interval time.Duration) time.Duration { return min(interval, maxTick) }

// minAge is how long a tenant is left alone after a run that ended well. Ticks are not exact, so half of one is forgiven.
func minAge(interval time.Duration) time.Duration { return interval - tick(interval)/2 }
