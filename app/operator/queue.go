package operator

import (
	"context"
	"time"

	"aiagents/app/housekeeping"
)

// QueueState is how many jobs of the queue are in one state.
type QueueState struct {
	State            string  `json:"state" enum:"available,retryable,running,scheduled"`
	Depth            int64   `json:"depth"`
	OldestAgeSeconds float64 `json:"oldest_age_seconds" doc:"How long the oldest of them could have run already; 0 when there is none"`
}

// Worker is one process that works the queue.
type Worker struct {
	ID string `json:"id" doc:"Host, process and a random part"`
	// SeenAt is its last heartbeat.
	SeenAt time.Time `json:"seen_at"`
	Alive  bool      `json:"alive" doc:"Whether its heartbeat is younger than four intervals; the jobs of others are given away"`
	// Running is how many jobs it has.
	Running int `json:"running"`
}

// Queue is the job queue by state, every state that has work to do, empty ones too.
func (s *Service) Queue(ctx context.Context) ([]QueueState, error) { return s.deps.Queue.Queue(ctx) }

// Workers lists the processes that work the queue or did within the last hour, by id.
func (s *Service) Workers(ctx context.Context) ([]Worker, error) { return s.deps.Queue.Workers(ctx) }

// Housekeeping lists the periodic tasks with their last run and its result.
func (s *Service) Housekeeping(ctx context.Context) ([]housekeeping.Status, error) {
	return s.deps.Housekeeping.List(ctx)
}

// HousekeepingDryRun counts what a task would remove now, and changes nothing.
func (s *Service) HousekeepingDryRun(ctx context.Context, task string) (housekeeping.Run, error) {
	return s.deps.Housekeeping.Run(ctx, task, true)
}
