package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Queue is the queue of the tasks. They may run for long and must neither take the place of a note nor wait behind one, so it
// has workers of its own.
const Queue = "housekeeping"

// Add adds a task and the worker of its job. A is the job's arguments: its kind is the task's name, and it has no fields,
// since what a run does must not depend on when it was queued.
func Add[A river.JobArgs](m *Module, workers *river.Workers, t Task) {
	var args A
	t.Name = args.Kind()
	m.tasks = append(m.tasks, entry{t, args})
	river.AddWorker(workers, &worker[A]{module: m, task: t})
}

// PeriodicJobs are what River's leader starts by the clock: every task that is not switched off, and on the leader's start too.
func (m *Module) PeriodicJobs() []*river.PeriodicJob {
	var jobs []*river.PeriodicJob
	for _, t := range m.tasks {
		if t.Every > 0 {
			jobs = append(jobs, river.NewPeriodicJob(river.PeriodicInterval(t.Every),
				func() (river.JobArgs, *river.InsertOpts) { return t.args, insertOpts() },
				&river.PeriodicJobOpts{ID: t.Name, RunOnStart: true}))
		}
	}
	return jobs
}

// insertOpts keep one job of a task at a time. A failed one is not repeated: the next tick goes on.
func insertOpts() *river.InsertOpts {
	return &river.InsertOpts{
		Queue: Queue, MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

type worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	module *Module
	task   Task
}

// Timeout leaves a run the time to record its end.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.task.Limit + 2*recordTimeout }

// handOver is how soon another process takes up a task that stopped with its own.
const handOver = 5 * time.Second

// Work runs the task, unless it ended well a moment ago: a new leader starts all tasks, whatever the old one did.
func (w *worker[A]) Work(ctx context.Context, _ *river.Job[A]) error {
	if w.module.life.Err() != nil {
		return river.JobSnooze(handOver)
	}
	records, now, err := w.module.store.last(ctx, []string{w.task.Name})
	if err != nil {
		return err
	}
	if r := records[w.task.Name]; r.Result == ResultOK && now.Sub(*r.StartedAt) < w.task.Every/2 {
		return nil
	}
	run, cause, err := w.module.run(ctx, w.task, false)
	switch {
	case run.Result == ResultStopped:
		return errors.Join(river.JobSnooze(handOver), err)
	case cause != nil:
		return errors.Join(fmt.Errorf("housekeeping: %w", cause), err)
	}
	return err
}
