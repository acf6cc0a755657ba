package operator

import (
	"context"
	"time"
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

// HousekeepingRun is the last run of one periodic job.
type HousekeepingRun struct {
	Job        string     `json:"job"`
	Result     string     `json:"result" doc:"ok, failed or running"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Rows       int64      `json:"rows" doc:"Rows that it removed or changed"`
	DryRun     bool       `json:"dry_run"`
	Error      string     `json:"error,omitempty"`
}

// Queue is the job queue by state, every state that has work to do, empty ones too.
func (s *Service) Queue(ctx context.Context) ([]QueueState, error) { return s.deps.Queue.Queue(ctx) }

// Workers lists the processes that work the queue or did within the last hour, by id.
func (s *Service) Workers(ctx context.Context) ([]Worker, error) { return s.deps.Queue.Workers(ctx) }

// Housekeeping lists the periodic jobs with their last run; none where nothing keeps a record of them.
func (s *Service) Housekeeping(ctx context.Context) ([]HousekeepingRun, error) {
	if s.deps.Housekeeping == nil {
		return []HousekeepingRun{}, nil
	}
	return s.deps.Housekeeping.HousekeepingRuns(ctx)
}
