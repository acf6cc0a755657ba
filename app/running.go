package app

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"aiagents/modules/enhancement"
)

// runningJobs are the jobs that this process works on, so that it can give them up.
type runningJobs struct {
	mu   sync.Mutex
	jobs map[int64]context.CancelCauseFunc
}

// middleware keeps a job in the list while it runs.
func (r *runningJobs) middleware() rivertype.Middleware {
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		r.mu.Lock()
		if r.jobs == nil {
			r.jobs = map[int64]context.CancelCauseFunc{}
		}
		r.jobs[job.ID] = cancel
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.jobs, job.ID)
		}()
		return work(ctx)
	})
}

func (r *runningJobs) ids() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.jobs))
}

// cancel gives jobs up and returns how many of them ran.
func (r *runningJobs) cancel(ids []int64) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel, ok := r.jobs[id]; ok {
			cancel(enhancement.ErrSuspended)
			n++
		}
	}
	return n
}
