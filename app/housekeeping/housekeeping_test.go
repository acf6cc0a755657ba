package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type (
	tidyArgs  struct{}
	otherArgs struct{}
)

func (tidyArgs) Kind() string  { return "tidy" }
func (otherArgs) Kind() string { return "other" }

type bundle struct {
	*Module
	db      *dbtest.Database
	workers *river.Workers
}

func setup(t *testing.T, run func(context.Context, bool) (Rows, error)) *bundle {
	t.Helper()
	b := &bundle{db: dbtest.New(t), workers: river.NewWorkers()}
	b.Module = New(b.db.DB)
	Add[tidyArgs](b.Module, b.workers, Task{Does: "tidy up", Every: time.Hour, Limit: time.Minute, DryRun: true, Run: run})
	Add[otherArgs](b.Module, b.workers, Task{Does: "nothing", Limit: time.Minute, Run: run})
	return b
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.db.Pool().Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (b *bundle) status(t *testing.T, name string) Status {
	t.Helper()
	list, err := b.List(t.Context())
	require.NoError(t, err)
	for _, s := range list {
		if s.Task == name {
			return s
		}
	}
	require.Fail(t, "no such task")
	return Status{}
}

func TestARunIsRecordedWithItsResult(t *testing.T) {
	t.Parallel()
	var rows Rows
	var fails error
	b := setup(t, func(_ context.Context, dryRun bool) (Rows, error) {
		if dryRun {
			return Rows{"acme": 40}, nil
		}
		return rows, fails
	})
	s := b.status(t, "tidy")
	require.Empty(t, s.LastResult)
	require.False(t, s.Overdue, "nothing ever ran: that is for the check of the workers to say")

	rows = Rows{"acme": 2, "beta": 3}
	run, err := b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	require.Equal(t, ResultOK, run.Result)
	require.EqualValues(t, 5, run.Rows)
	require.Equal(t, rows, run.ByTenant)
	s = b.status(t, "tidy")
	require.Equal(t, ResultOK, s.LastResult)
	require.EqualValues(t, 5, s.LastRows)
	require.WithinDuration(t, s.LastStartedAt.Add(time.Hour), *s.NextDueAt, 0)

	run, err = b.Run(t.Context(), "tidy", true)
	require.NoError(t, err)
	require.EqualValues(t, 40, run.Rows)
	require.EqualValues(t, 5, b.status(t, "tidy").LastRows, "a dry run is not a last run")

	fails = errors.Join(
		fmt.Errorf("tidy acme: %w", fault.Wrap(fault.Unavailable, errors.New("password=hunter2"), "the desk is away")),
		errors.New("value 'of a row' breaks a rule"))
	run, err = b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	require.Equal(t, ResultFailed, run.Result)
	require.Equal(t, "tidy acme: the desk is away; an internal error; the log of the worker has the cause", run.Error, "no cause is quoted")
	s = b.status(t, "tidy")
	require.Equal(t, ResultFailed, s.LastResult)
	require.True(t, s.LastSuccessAt.Before(*s.LastFinishedAt))

	runs, err := b.Runs(t.Context(), "tidy", 10)
	require.NoError(t, err)
	require.Len(t, runs, 3)
	require.True(t, runs[1].DryRun)
	_, err = b.Run(t.Context(), "nobody", false)
	require.True(t, fault.Is(err, fault.NotFound))
	require.ErrorContains(t, err, "tidy, other")
	_, err = b.Run(t.Context(), "other", true)
	require.True(t, fault.Is(err, fault.Invalid))
}

func TestATaskThatFallsBehindIsOverdue(t *testing.T) {
	t.Parallel()
	b := setup(t, func(context.Context, bool) (Rows, error) { return nil, nil })
	_, err := b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	age := func(by string) {
		b.exec(t, `UPDATE housekeeping_runs SET started_at = started_at - $1::interval, finished_at = finished_at - $1::interval`, by)
	}
	age("2 hours")
	require.False(t, b.status(t, "tidy").Overdue)
	age("6 minutes")
	require.True(t, b.status(t, "tidy").Overdue)
	require.False(t, b.status(t, "other").Overdue, "it is switched off")

	b.exec(t, `UPDATE housekeeping_runs SET task = 'gone'`)
	require.True(t, b.status(t, "tidy").Overdue, "others have run for hours, and it never has")
}

func TestOldRunsAndDeadOnesAreClosed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(context.Context, bool) (Rows, error) { return nil, nil })
	b.exec(t, `INSERT INTO housekeeping_runs (task, started_at) VALUES ('tidy', now() - interval '3 minutes'), ('tidy', now())`)
	b.exec(t, `INSERT INTO housekeeping_runs (task, started_at, finished_at, result) VALUES ('tidy', now() - interval '15 days', now() - interval '15 days', 'ok')`)
	_, err := b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	runs, err := b.Runs(t.Context(), "tidy", 10)
	require.NoError(t, err)
	require.Equal(t, []string{ResultOK, ResultRunning, ResultFailed}, []string{runs[0].Result, runs[1].Result, runs[2].Result})
	require.Len(t, runs, 3)
	require.NotNil(t, b.status(t, "tidy").Running)
}

// client is River with this package's queue.
func (b *bundle) client(t *testing.T) *river.Client[pgx.Tx] {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(b.db.Pool()), &river.Config{
		Workers: b.workers, Queues: map[string]river.QueueConfig{Queue: {MaxWorkers: 2}}, PeriodicJobs: b.PeriodicJobs(),
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	return client
}

func TestTheLeaderStartsTheTasksThatAreOn(t *testing.T) {
	t.Parallel()
	ran := make(chan struct{}, 10)
	b := setup(t, func(context.Context, bool) (Rows, error) {
		ran <- struct{}{}
		return Rows{"acme": 1}, nil
	})
	client := b.client(t)
	ended, stop := client.Subscribe(river.EventKindJobCompleted)
	defer stop()
	require.NoError(t, client.Start(t.Context()))
	require.Equal(t, "tidy", (<-ended).Job.Kind)
	<-ran

	_, err := client.Insert(t.Context(), tidyArgs{}, insertOpts())
	require.NoError(t, err)
	require.Equal(t, "tidy", (<-ended).Job.Kind)
	require.Empty(t, ran, "a new leader does not repeat what ended well a moment ago")
	require.NoError(t, client.Stop(t.Context()))
	require.Equal(t, ResultOK, b.status(t, "tidy").LastResult)
	require.Empty(t, b.status(t, "other").LastResult, "a task without an interval is off")
}

func TestOneJobOfATaskAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t, func(context.Context, bool) (Rows, error) { return nil, nil })
	client := b.client(t)
	for _, want := range []bool{false, true} {
		inserted, err := client.Insert(t.Context(), tidyArgs{}, insertOpts())
		require.NoError(t, err)
		require.Equal(t, want, inserted.UniqueSkippedAsDuplicate)
	}
}

// What a stopping process leaves undone goes back to the queue, and is no failure.
func TestAStoppingProcessHandsItsTaskOn(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	b := setup(t, func(ctx context.Context, _ bool) (Rows, error) {
		close(begun)
		<-ctx.Done()
		return Rows{"acme": 1000}, ctx.Err()
	})
	client := b.client(t)
	snoozed, stop := client.Subscribe(river.EventKindJobSnoozed)
	defer stop()
	require.NoError(t, client.Start(t.Context()))
	<-begun
	b.Stop()
	require.Equal(t, "tidy", (<-snoozed).Job.Kind)
	require.NoError(t, client.Stop(t.Context()))
	s := b.status(t, "tidy")
	require.Equal(t, ResultStopped, s.LastResult)
	require.EqualValues(t, 1000, s.LastRows)
}

func TestATaskIsEndedAtItsLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(ctx context.Context, _ bool) (Rows, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	b.tasks[0].Limit = time.Millisecond
	run, err := b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	require.Equal(t, ResultFailed, run.Result)
	require.Contains(t, run.Error, "ran out of its time")
}

func TestTheMetricsTellTheLastRuns(t *testing.T) {
	t.Parallel()
	var fails error
	b := setup(t, func(context.Context, bool) (Rows, error) { return nil, fails })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b.Module)
	read := func() string {
		b.seen.at = time.Time{}
		families, err := registry.Gather()
		require.NoError(t, err)
		var lines []string
		for _, f := range families {
			for _, m := range f.GetMetric() {
				lines = append(lines, fmt.Sprintf("%s{%s} %.0f", f.GetName(), m.GetLabel()[0].GetValue(), m.GetGauge().GetValue()))
			}
		}
		return strings.Join(lines, "\n")
	}
	require.Equal(t, "aiagents_housekeeping_interval_seconds{tidy} 3600\naiagents_housekeeping_last_run_failed{tidy} 0", read())
	_, err := b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	at := b.status(t, "tidy").LastSuccessAt
	require.Contains(t, read(), fmt.Sprintf("aiagents_housekeeping_last_success_timestamp_seconds{tidy} %.0f", float64(at.UnixMilli())/1000))
	fails = errors.New("x")
	_, err = b.Run(t.Context(), "tidy", false)
	require.NoError(t, err)
	require.Contains(t, read(), "aiagents_housekeeping_last_run_failed{tidy} 1")
	require.Contains(t, read(), "last_success_timestamp")
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	require.Empty(t, DefaultConfig().Validate())
	faults := Config{}.Validate()
	require.Len(t, faults, 4)
	for _, f := range faults {
		require.Regexp(t, `^housekeeping\.[a-z_]+: must be .* or more$`, f)
	}
}
