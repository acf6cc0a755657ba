package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
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
	state := func(worker string) (s string) {
		require.NoError(t, d.Pool().QueryRow(t.Context(), `SELECT state FROM river_job WHERE kind = $1`, worker).Scan(&s))
		return s
	}
	h := newHeartbeats(d.DB, "me", 3*time.Second, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))
	require.Equal(t, "running", state("silent"), "a worker that has just come does not judge the others yet")

	h.judgeFrom = time.Now()
	require.NoError(t, h.beat(t.Context()))
	require.Equal(t, "available", state("silent"))
	require.Equal(t, "available", state("forgotten"))
	require.Equal(t, "running", state("alive"))
}

func TestOnlyALongOutagePutsOffTheJudgement(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	h := newHeartbeats(d.DB, "me", 3*time.Second, slog.New(slog.DiscardHandler))
	require.NoError(t, h.beat(t.Context()))

	h.judgeFrom = time.Now()
	h.last = time.Now().Add(-8 * time.Second)
	require.NoError(t, h.beat(t.Context()))
	require.False(t, h.judgeFrom.After(time.Now()), "nobody became silent meanwhile")

	h.last = time.Now().Add(-10 * time.Second)
	require.NoError(t, h.beat(t.Context()))
	require.True(t, h.judgeFrom.After(time.Now().Add(5*time.Second)), "the others get the time to beat again")
}
