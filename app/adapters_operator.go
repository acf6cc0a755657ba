package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/app/operator"
	"aiagents/db"
)

// newOperator hands the modules to the service that commands, admin API and console share.
func newOperator(s *system, cfg Config) (*operator.Service, error) {
	return operator.New(operator.Deps{
		DB: s.db, Tenants: s.tenants, TenantChanges: s.tenants, TenantSecrets: s.tenants, Audit: s.tenants,
		Runs: s.enhancements, Previews: s.enhancements, Figures: s.enhancements, Desks: s.notes,
		ConnectionTest: connectionTest{s}, Queue: queueView{s.db, silentBeats * cfg.Worker.Heartbeat}, Housekeeping: s.housekeeping, Clock: time.Now,
	}, operator.DefaultConfig())
}

// connectionTest: operator examines a tenant's connection as doctor does.
type connectionTest struct{ system *system }

func (a connectionTest) TestConnection(ctx context.Context, tenantID string) ([]operator.Check, error) {
	t, err := a.system.tenants.Fresh(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTenantTime)
	defer cancel()
	d, f := doctor{now: time.Now}, findings{tenant: tenantID}
	d.desk(ctx, &f, a.system, t)
	d.monitoring(ctx, &f, a.system, t)
	checks := make([]operator.Check, len(f.list))
	for i, line := range f.list {
		checks[i] = operator.Check{Status: line.Status, Check: line.Check, Detail: line.Detail, Next: line.Next}
	}
	return checks, nil
}

// queueView: operator reads River's queue and the heartbeats of its workers. Neither belongs to a tenant.
type queueView struct {
	db *db.DB
	// silence is how old a heartbeat may be.
	silence time.Duration
}

func (a queueView) Queue(ctx context.Context) ([]operator.QueueState, error) {
	states, err := readQueue(ctx, a.db)
	view := make([]operator.QueueState, len(states))
	for i, s := range states {
		view[i] = operator.QueueState{State: s.State, Depth: s.Depth, OldestAgeSeconds: s.Age}
	}
	return view, err
}

func (a queueView) Workers(ctx context.Context) ([]operator.Worker, error) {
	type row struct {
		ID      string
		SeenAt  time.Time
		Alive   bool
		Running int
	}
	var rows []row
	err := a.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, `
			SELECT h.client_id AS id, h.seen_at, h.seen_at > now() - $1::interval AS alive,
			       (SELECT count(*)::int FROM river_job j
			        WHERE j.state = 'running' AND j.attempted_by[array_upper(j.attempted_by, 1)] = h.client_id) AS running
			FROM worker_heartbeats h ORDER BY h.client_id`, a.silence)
		if err != nil {
			return fmt.Errorf("read workers: %w", err)
		}
		rows, err = pgx.CollectRows(found, pgx.RowToStructByName[row])
		if err != nil {
			return fmt.Errorf("read workers: %w", err)
		}
		return nil
	})
	workers := make([]operator.Worker, len(rows))
	for i, r := range rows {
		workers[i] = operator.Worker{ID: r.ID, SeenAt: r.SeenAt.UTC(), Alive: r.Alive, Running: r.Running}
	}
	return workers, err
}
