package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
)

// scaler makes the login role of docs/operations.md, and returns its connection.
func scaler(t *testing.T, d *dbtest.Database) *pgx.Conn {
	t.Helper()
	role, url := newRole(t, d, "")
	run(t, d.OwnerURL, `GRANT EXECUTE ON FUNCTION scaler_queue_depth(), scaler_oldest_job_seconds(), scaler_workers(integer, integer)
		TO `+pgx.Identifier{role}.Sanitize())
	return connect(t, url)
}

func read[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) (value T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// jobs inserts n jobs that could have run since age.
func jobs(t *testing.T, d *dbtest.Database, n int, state, queue, age string) {
	t.Helper()
	run(t, d.AppURL, `INSERT INTO river_job (kind, args, max_attempts, state, queue, scheduled_at, finalized_at)
		SELECT 'enhance_ticket', '{}', 10, $2::text::river_job_state, $3, now() - $4::interval,
		       CASE WHEN $2::text = 'completed' THEN now() END
		FROM generate_series(1, $1)`, n, state, queue, age)
}

func TestTheScalersDepthFollowsTheQueue(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	conn := scaler(t, d)
	depth := func() int64 { return read[int64](t, conn, `SELECT scaler_queue_depth()`) }
	age := func() float64 { return read[float64](t, conn, `SELECT scaler_oldest_job_seconds()`) }
	require.Zero(t, depth())
	require.Zero(t, age())

	jobs(t, d, 3, "available", "default", "5 minutes")
	jobs(t, d, 4, "available", "default", "1 second")
	require.EqualValues(t, 7, depth())
	require.InDelta(t, 300, age(), 60)

	// What no worker could run now, or what is none of the notes' business.
	jobs(t, d, 10, "available", "default", "-1 hour")
	jobs(t, d, 10, "scheduled", "default", "1 hour")
	jobs(t, d, 10, "retryable", "default", "1 hour")
	jobs(t, d, 10, "running", "default", "1 hour")
	jobs(t, d, 10, "completed", "default", "1 hour")
	jobs(t, d, 10, "available", "feed", "1 hour")
	require.EqualValues(t, 7, depth())
	require.InDelta(t, 300, age(), 60)

	run(t, d.AppURL, `INSERT INTO river_queue (name, paused_at, updated_at) VALUES ('default', now(), now())`)
	require.Zero(t, depth(), "no worker runs a paused queue")
	require.Zero(t, age())
	run(t, d.AppURL, `UPDATE river_queue SET paused_at = NULL`)
	run(t, d.AppURL, `UPDATE river_job SET state = 'running' WHERE state = 'available' AND queue = 'default' AND scheduled_at < now() - interval '1 minute'`)
	require.EqualValues(t, 4, depth())
}

func TestTheScalerKeepsItsWorkersInsideTheBand(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	conn := scaler(t, d)
	for _, c := range []struct{ alive, waiting, want int }{
		{0, 0, 1},
		{1, 0, 1},
		{4, 0, 1},
		{0, 1, 1}, // nothing to do: one worker stays
		{1, 50, 1},
		{1, 51, 2},
		{1, 500, 10}, // up above 50 a worker
		{4, 200, 4},
		{4, 201, 5},
		{4, 40, 4},
		{4, 31, 4},
		{4, 30, 3},
		{4, 5, 1}, // down below 10 a worker
	} {
		run(t, d.AppURL, `DELETE FROM river_job`)
		run(t, d.AppURL, `DELETE FROM worker_heartbeats`)
		jobs(t, d, c.waiting, "available", "default", "1 second")
		run(t, d.AppURL, `INSERT INTO worker_heartbeats (client_id) SELECT 'w' || i FROM generate_series(1, $1) i`, c.alive)
		run(t, d.AppURL, `INSERT INTO worker_heartbeats (client_id, seen_at) VALUES ('dead', now() - interval '1 minute')`)
		require.EqualValues(t, c.want, read[int64](t, conn, `SELECT scaler_workers(50, 10)`), "%+v", c)
	}
	for _, band := range []string{"10, 50", "50, 0", "0, 0"} {
		_, err := conn.Exec(t.Context(), `SELECT scaler_workers(`+band+`)`)
		require.True(t, db.HasSQLState(err, "22023"), "%s: %v", band, err)
	}
}

// The scaler's functions run as the owner, so nobody else may call them, and their caller gets at nothing more.
func TestTheScalerCanDoNothingElse(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	tenants(t, d, tenantTables(t, d.OwnerURL))
	conn := scaler(t, d)
	for _, name := range query[string](t, d.OwnerURL, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')`) {
		_, err := conn.Exec(t.Context(), `SELECT * FROM `+name)
		require.True(t, refused(err), "%s: %v", name, err)
	}
	_, nobody := newRole(t, d, "")
	for _, call := range []string{`scaler_queue_depth()`, `scaler_oldest_job_seconds()`, `scaler_workers(50, 10)`} {
		_, err := connect(t, nobody).Exec(t.Context(), `SELECT `+call)
		require.True(t, refused(err), "%s: %v", call, err)
		_, err = connect(t, d.AppURL).Exec(t.Context(), `SELECT `+call)
		require.True(t, refused(err), "%s: %v", call, err)
	}

	// A temporary table of the caller does not stand in for ours: its triggers and views would run as the owner.
	_, err := conn.Exec(t.Context(), `CREATE TEMP TABLE river_job AS SELECT 'available' AS state, 'default' AS queue, now() AS scheduled_at FROM generate_series(1, 9)`)
	require.NoError(t, err)
	require.Zero(t, read[int64](t, conn, `SELECT scaler_queue_depth()`))
}
