package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/modules/enhancement"
)

func TestJobsOfASilentWorkerAreQueuedAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	exec := func(sql string) {
		t.Helper()
		_, err := d.Pool().Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	run := func(worker string) {
		exec(`INSERT INTO river_job (state, kind, args, max_attempts, attempt, attempted_at, attempted_by, queue, priority, scheduled_at)
			VALUES ('running', '` + worker + `', '{}', 10, 1, now() - interval '1 minute', ARRAY['` + worker + `'], 'default', 2, now())`)
	}
	exec(`INSERT INTO worker_heartbeats VALUES ('silent', now() - interval '13 seconds'), ('alive', now() - interval '11 seconds')`)
	run("silent")
	run("alive")
	run("forgotten")
	exec(`INSERT INTO river_job (state, kind, args, max_attempts, attempt, attempted_at, attempted_by, queue, priority, scheduled_at)
		VALUES ('running', 'stuck', '{}', 10, 1, now() - interval '61 minutes', '{alive}', 'default', 2, now())`)
	state := func(worker string) (s string) {
		require.NoError(t, d.Pool().QueryRow(t.Context(), `SELECT state FROM river_job WHERE kind = $1`, worker).Scan(&s))
		return s
	}
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, &runningJobs{}, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))
	require.Equal(t, "running", state("silent"), "a worker that has just come does not judge the others yet")

	h.judgeFrom = time.Now()
	require.NoError(t, h.beat(t.Context()))
	require.Equal(t, "available", state("silent"))
	require.Equal(t, "available", state("forgotten"))
	require.Equal(t, "running", state("alive"))
	require.Equal(t, "available", state("stuck"), "its worker lives and has forgotten it")
}

func TestOnlyALongOutagePutsOffTheJudgement(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, &runningJobs{}, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))

	h.judgeFrom = time.Now()
	h.last = time.Now().Add(-8 * time.Second)
	require.NoError(t, h.beat(t.Context()))
	require.False(t, h.judgeFrom.After(time.Now()), "nobody became silent meanwhile")

	h.last = time.Now().Add(-10 * time.Second)
	require.NoError(t, h.beat(t.Context()))
	require.True(t, h.judgeFrom.After(time.Now().Add(5*time.Second)), "the others get the time to beat again")
}

// hold runs a job until its context ends, and returns what ended it.
func hold(t *testing.T, running *runningJobs, id int64) <-chan error {
	t.Helper()
	begun, ended := make(chan struct{}), make(chan error, 1)
	middleware := running.middleware().(rivertype.WorkerMiddleware)
	go func() {
		_ = middleware.Work(t.Context(), &rivertype.JobRow{ID: id}, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil
		})
	}()
	<-begun
	return ended
}

// A process that stood still gives its jobs up before it does anything else: others have them by now.
func TestAWorkerThatStoodStillGivesItsJobsUp(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	running := &runningJobs{}
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, running, slog.New(slog.DiscardHandler))
	ended := hold(t, running, 1)
	now := time.Now()
	h.notice(t.Context(), now)
	h.notice(t.Context(), now.Add(11*time.Second))
	require.Len(t, running.ids(), 1, "a late tick is no reason")
	require.Empty(t, ended)
	h.notice(t.Context(), now.Add(24*time.Second))
	require.ErrorIs(t, <-ended, enhancement.ErrSuspended)
	require.Eventually(t, func() bool { return len(running.ids()) == 0 }, patience, time.Millisecond)
}

// The answer to a fetch can be lost with its connection: the job is then this worker's, and runs nowhere.
func TestAJobWhoseFetchWasCutOffIsQueuedAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	running := &runningJobs{}
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, running, slog.New(slog.DiscardHandler))
	_, err := d.Pool().Exec(t.Context(), `INSERT INTO river_job (id, state, kind, args, max_attempts, attempt, attempted_at, attempted_by, queue)
		VALUES (1, 'running', 'runs', '{}', 10, 1, now() - interval '13 seconds', '{me}', 'default'),
		       (2, 'running', 'lost', '{}', 10, 1, now() - interval '13 seconds', '{me}', 'default'),
		       (3, 'running', 'fresh', '{}', 10, 1, now(), '{me}', 'default'),
		       (4, 'running', 'ends', '{}', 10, 1, now() - interval '13 seconds', '{me}', 'default')`)
	require.NoError(t, err)
	held := hold(t, running, 1)
	available := func() (kinds []string) {
		require.NoError(t, h.beat(t.Context()))
		require.NoError(t, d.Pool().QueryRow(t.Context(), `SELECT array_agg(kind) FROM river_job WHERE state = 'available'`).Scan(&kinds))
		return kinds
	}
	require.Empty(t, available(), "it may be about to be written down")
	_, err = d.Pool().Exec(t.Context(), `UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = 4`)
	require.NoError(t, err)
	require.Equal(t, []string{"lost"}, available())
	running.cancel([]int64{1})
	<-held
}

// A worker that was cut off looks which of its jobs it still owns.
func TestAWorkerThatWasCutOffKeepsOnlyItsOwnJobs(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	running := &runningJobs{}
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, running, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))
	_, err := d.Pool().Exec(t.Context(), `INSERT INTO river_job (id, state, kind, args, max_attempts, attempt, attempted_at, attempted_by, queue)
		VALUES (1, 'running', 'x', '{}', 10, 1, now(), '{me}', 'default'), (2, 'running', 'x', '{}', 10, 1, now(), '{me,other}', 'default')`)
	require.NoError(t, err)
	mine, theirs := hold(t, running, 1), hold(t, running, 2)
	require.NoError(t, h.beat(t.Context()))
	require.Len(t, running.ids(), 2, "its lease had not run out")
	_, err = d.Pool().Exec(t.Context(), `UPDATE worker_heartbeats SET seen_at = now() - interval '13 seconds'`)
	require.NoError(t, err)
	require.NoError(t, h.beat(t.Context()))
	require.ErrorIs(t, <-theirs, enhancement.ErrSuspended)
	require.Empty(t, mine)
	running.cancel([]int64{1})
	<-mine
}

// Whose waiting time is over does not wait for River's leader, nor for its clock.
func TestJobsThatAreDueBecomeAvailableWithoutALeader(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	_, err := d.Pool().Exec(t.Context(), `INSERT INTO river_job (state, kind, args, max_attempts, attempt, queue, scheduled_at)
		VALUES ('scheduled', 'due', '{}', 10, 1, 'default', now()), ('retryable', 'due', '{}', 10, 1, 'default', now() - interval '1 second'),
		       ('scheduled', 'early', '{}', 10, 1, 'default', now() + interval '1 minute'), ('scheduled', 'elsewhere', '{}', 10, 1, 'housekeeping', now())`)
	require.NoError(t, err)
	h := newHeartbeats(d.DB, "me", 3*time.Second, time.Hour, &runningJobs{}, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))
	var available []string
	require.NoError(t, d.Pool().QueryRow(t.Context(), `SELECT array_agg(kind) FROM river_job WHERE state = 'available'`).Scan(&available))
	require.Equal(t, []string{"due", "due"}, available)
}
