package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"aiagents/app/housekeeping"
	"aiagents/db"
	"aiagents/internal/fault"
)

// rescueMargin is how much longer than its time limit a job may run before it counts as stuck, which reclaim.go decides by the
// database's clock.
const rescueMargin = 35 * time.Second

// riverRescue keeps River's own rescuer out of that: it goes by the clock of the leader's machine, and one that is a few minutes
// ahead would hand on every running job, and have its model asked twice.
const riverRescue = 24 * time.Hour

// housekeepers is how many periodic tasks run at once in a process: all of them, since most wait for a desk or for rows.
const housekeepers = 12

// queueClient is River's client of a role. Built without queues it inserts and refuses unknown kinds, and never works.
type queueClient = river.Client[pgx.Tx]

// newInserter is the client of the serve role and of commands.
func newInserter(pool *pgxpool.Pool, workers *river.Workers, logger *slog.Logger) (*queueClient, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Workers: workers, Logger: quiet(logger)})
	if err != nil {
		return nil, fmt.Errorf("open job queue: %w", err)
	}
	return client, nil
}

// listeningDriver is River's driver that listens on connections of their own, past a pooler.
type listeningDriver struct {
	riverdriver.Driver[pgx.Tx]
	listen riverdriver.Driver[pgx.Tx]
}

// GetListener implements riverdriver.Driver.
func (d listeningDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.listen.GetListener(params)
}

// workerQueues are the queues of a worker. The scaler's functions count the jobs of all but housekeeping.
func workerQueues(cfg Config) map[string]river.QueueConfig {
	return map[string]river.QueueConfig{
		river.QueueDefault: {MaxWorkers: cfg.Worker.Concurrency},
		housekeeping.Queue: {MaxWorkers: housekeepers},
	}
}

// newWorkerClient is the client of the work and all roles.
func newWorkerClient(d *db.DB, workers *river.Workers, periodic []*river.PeriodicJob, running *runningJobs, cfg Config, tel *telemetry) (*queueClient, error) {
	driver := listeningDriver{riverpgxv5.New(d.Pool()), riverpgxv5.New(d.ListenPool())}
	client, err := river.NewClient(driver, &river.Config{
		ID:                          newClientID(),
		Workers:                     workers,
		Queues:                      workerQueues(cfg),
		PeriodicJobs:                periodic,
		FetchCooldown:               10 * time.Millisecond,
		CompletedJobRetentionPeriod: cfg.Housekeeping.CompletedJobs,
		CancelledJobRetentionPeriod: cfg.Housekeeping.CancelledJobs,
		DiscardedJobRetentionPeriod: cfg.Housekeeping.DiscardedJobs,

		JobTimeout:           cfg.Enhancement.JobTimeout,
		RescueStuckJobsAfter: riverRescue,
		SoftStopTimeout:      cfg.Worker.SoftStop,
		Logger:               quiet(tel.logger),
		ErrorHandler:         jobErrors{tel.logger},
		Middleware:           []rivertype.Middleware{memoryForTickets(), jobContext(tel.tracer), running.middleware()},
	})
	if err != nil {
		return nil, fmt.Errorf("open job queue: %w", err)
	}
	return client, nil
}

// newClientID names a worker for River's rows and for our heartbeats. The host makes it readable, the rest unique.
func newClientID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random))
}

// quiet keeps River's routine messages out of our log; what it warns of stays.
func quiet(logger *slog.Logger) *slog.Logger {
	return slog.New(minLevel{logger.Handler(), slog.LevelWarn}).With("module", "river")
}

type minLevel struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h minLevel) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h minLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return minLevel{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements slog.Handler.
func (h minLevel) WithGroup(name string) slog.Handler {
	return minLevel{h.Handler.WithGroup(name), h.level}
}

// jobContext gives a job's context the ids for the log and the trace that began with the webhook.
func jobContext(tracer trace.Tracer) rivertype.Middleware {
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
		ctx = withJobIDs(ctx, job)
		ctx, span := tracer.Start(withJobTrace(ctx, job.Metadata), "job "+job.Kind, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.Int("attempt", job.Attempt)))
		defer span.End()
		err := work(ctx)
		// A wait for a time that somebody named is routine.
		if err != nil && !errors.As(err, new(*river.JobSnoozeError)) {
			span.SetStatus(codes.Error, fault.KindOf(err).String())
		}
		return err
	})
}

// withJobIDs takes the ids for the log from the job's arguments. Periodic jobs carry none.
func withJobIDs(ctx context.Context, job *rivertype.JobRow) context.Context {
	var args struct {
		TenantID      string `json:"tenant_id"`
		EnhancementID string `json:"enhancement_id"`
	}
	_ = json.Unmarshal(job.EncodedArgs, &args)
	return withLogIDs(ctx, logIDs{tenant: args.TenantID, enhancement: args.EnhancementID})
}

// jobErrors logs the end of a job that did not go well, once.
type jobErrors struct{ logger *slog.Logger }

// HandleError logs at the level of the fault: a wait is routine, what nobody foresaw is an error.
func (h jobErrors) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	ctx = withJobIDs(ctx, job)
	level := slog.LevelWarn
	if fault.KindOf(err) == fault.Internal && !errors.Is(err, context.Canceled) {
		level = slog.LevelError
	}
	h.logger.Log(ctx, level, "job attempt failed", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "error", err)
	return nil
}

// HandlePanic logs the stack and not the value, which may quote a ticket.
func (h jobErrors) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, stack string) *river.ErrorHandlerResult {
	h.logger.ErrorContext(withJobIDs(ctx, job), "job panicked", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt,
		"panic_type", fmt.Sprintf("%T", value), "stack", stack)
	return nil
}
