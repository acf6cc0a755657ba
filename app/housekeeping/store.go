package housekeeping

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/db"
)

// store is the package's SQL. Times are the database's, which all processes share.
type store struct{ db *db.DB }

// begin records a run that starts. Runs whose process died are closed by the way: they cannot last longer than their limit.
func (s store) begin(ctx context.Context, t Task, dryRun bool) (id int64, run Run, err error) {
	run = Run{Task: t.Name, DryRun: dryRun, Result: ResultRunning}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE housekeeping_runs
			SET result = 'failed', finished_at = clock_timestamp(), error = 'its process ended before it did'
			WHERE task = $1 AND result = 'running' AND started_at < clock_timestamp() - make_interval(secs => $2)`,
			t.Name, (t.Limit + time.Minute).Seconds())
		if err != nil {
			return fmt.Errorf("close dead runs: %w", err)
		}
		err = tx.QueryRow(ctx, `
			INSERT INTO housekeeping_runs (task, dry_run) VALUES ($1, $2) RETURNING id, started_at`, t.Name, dryRun).
			Scan(&id, &run.StartedAt)
		if err != nil {
			return fmt.Errorf("insert run: %w", err)
		}
		return nil
	})
	return id, run, err
}

// keepRuns is how long runs are kept. The last one of a task stays in any case.
const keepRuns = 14 * 24 * time.Hour

// finish records how a run ended, and forgets old ones.
func (s store) finish(ctx context.Context, id int64, run Run) (finishedAt *time.Time, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE housekeeping_runs SET finished_at = clock_timestamp(), result = $2, rows = $3, error = $4
			WHERE id = $1 RETURNING finished_at`, id, run.Result, run.Rows, run.Error).Scan(&finishedAt)
		if err != nil {
			return fmt.Errorf("record run: %w", err)
		}
		_, err = tx.Exec(ctx, `
			DELETE FROM housekeeping_runs
			WHERE id IN (SELECT id FROM housekeeping_runs
			             WHERE task = $1 AND started_at < clock_timestamp() - make_interval(secs => $2) LIMIT 1000)`,
			run.Task, keepRuns.Seconds())
		if err != nil {
			return fmt.Errorf("forget old runs: %w", err)
		}
		return nil
	})
	return finishedAt, err
}

// record is what is known of a task's runs: the last that ended, the last that ended well, the one under way.
type record struct {
	Task         string
	StartedAt    *time.Time
	FinishedAt   *time.Time
	Result       string
	Rows         int64
	Error        string
	SuccessAt    *time.Time
	RunningSince *time.Time
	// FirstAt is the first run of any task that is still known.
	FirstAt *time.Time
	Now     time.Time
}

func (s store) last(ctx context.Context, tasks []string) (map[string]record, time.Time, error) {
	records := map[string]record{}
	now := time.Now()
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.task, l.started_at, l.finished_at, coalesce(l.result, '') AS result, coalesce(l.rows, 0) AS rows,
			       coalesce(l.error, '') AS error, g.finished_at AS success_at, u.started_at AS running_since,
			       f.first_at, clock_timestamp() AS now
			FROM unnest($1::text[]) AS t (task)
			LEFT JOIN LATERAL (SELECT started_at, finished_at, result, rows, error FROM housekeeping_runs r
			                   WHERE r.task = t.task AND NOT r.dry_run AND r.result <> 'running'
			                   ORDER BY r.started_at DESC LIMIT 1) AS l ON true
			LEFT JOIN LATERAL (SELECT finished_at FROM housekeeping_runs r
			                   WHERE r.task = t.task AND NOT r.dry_run AND r.result = 'ok'
			                   ORDER BY r.started_at DESC LIMIT 1) AS g ON true
			LEFT JOIN LATERAL (SELECT started_at FROM housekeeping_runs r
			                   WHERE r.task = t.task AND NOT r.dry_run AND r.result = 'running'
			                   ORDER BY r.started_at DESC LIMIT 1) AS u ON true
			LEFT JOIN (SELECT started_at AS first_at FROM housekeeping_runs ORDER BY id LIMIT 1) AS f ON true`, tasks)
		if err != nil {
			return fmt.Errorf("read runs: %w", err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[record])
		if err != nil {
			return fmt.Errorf("read runs: %w", err)
		}
		for _, r := range found {
			records[r.Task], now = r, r.Now
		}
		return nil
	})
	return records, now, err
}

// maxRuns bounds one answer.
const maxRuns = 1000

func (s store) runs(ctx context.Context, task string, limit int) (runs []Run, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT task, started_at, finished_at, result, rows, error, dry_run
			FROM housekeeping_runs WHERE task = $1 ORDER BY started_at DESC, id DESC LIMIT $2`, task, min(max(limit, 1), maxRuns))
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		if runs, err = pgx.CollectRows(rows, pgx.RowToStructByName[Run]); err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		return nil
	})
	return runs, err
}
