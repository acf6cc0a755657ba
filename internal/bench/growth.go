package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/harness"
)

// growthBound is how much worse than the smallest size a figure may get.
const growthBound = 1.5

// size is one size of the installation with what was measured at it.
type size struct {
	name    string
	intake  float64 // webhooks a second, closed loop
	intake9 float64 // p99 of the 202, ms
	serveMS float64 // CPU of serve and Postgres a webhook
	tickets float64 // a second
	workMS  float64 // CPU of work and Postgres a ticket
	added   float64 // p95 of the time added by us, ms
}

func playGrowth(ctx context.Context, s *stage, b *build) (*result, error) {
	r := &result{Notes: []string{
		fmt.Sprintf("at each size %d webhooks over %d connections, worked off by one worker with an instant model, then %d tickets a second in the open loop",
			growthTickets, s.opts.connections, latencyRate),
		"rows are those that finished work leaves: enhancement_history, note_posts, model_calls (90 days of them) and completed jobs; stored texts are left out of them",
		"every 202 is exactly one note on its desk",
	}}
	rows, err := s.growRows(ctx, b)
	if err != nil {
		return nil, err
	}
	r.compareSizes("finished jobs and history rows", rows)
	tenants, err := s.growTenants(ctx, b)
	if err != nil {
		return nil, err
	}
	r.compareSizes("tenants (without past tickets)", tenants)
	backlog, err := s.growBacklog(ctx, b)
	if err != nil {
		return nil, err
	}
	r.compareSizes("jobs waiting", append(rows[:1:1], backlog))
	return r, nil
}

const growthTickets = 1200

// growRows measures with ever more finished work in the tables.
func (s *stage) growRows(ctx context.Context, b *build) ([]size, error) {
	database, drop, err := s.copyOf(ctx, b, s.withHistory)
	if err != nil {
		return nil, err
	}
	defer drop()
	var sizes []size
	stored := 0
	for _, want := range s.opts.rows {
		if err := s.addFinished(ctx, database, stored, want); err != nil {
			return nil, err
		}
		stored = want
		one, err := s.measureSize(ctx, b, database, strconv.Itoa(want))
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, one)
	}
	return sizes, nil
}

// finishedSQL makes rows $1 to $2, as finished work of $3 tenants leaves them, spread over 89 days for what is kept that long and
// over half a day for jobs, which River keeps for a day.
var finishedSQL = []string{
	`
	INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference, status, stage, outcome, epoch, attempts, subject,
	  description, priority, ticket_created_at, note_id, timings, processing_time_ms, created_at, started_at, completed_at)
	SELECT 'tenant-' || g % $3, lpad(to_hex(g), 32, '0')::uuid, sha256(g::text::bytea), 'ticket_created', 'old-' || g, 'AIA-OLD-' || g,
	  'completed', 'posted', 'note', 1, 1, 'Printer on the third floor prints blank pages', 'Every page is blank since the toner was changed.',
	  'Medium', at, g::text, '{"gather_ms": 30, "model_ms": 2000, "post_ms": 60}', 2100, at, at, at
	FROM generate_series($1::bigint, $2::bigint) g, LATERAL (SELECT now() - interval '1 hour' - (($4::bigint - g) * 89.0 / $4::bigint) * interval '1 day' AS at) t`, `
	INSERT INTO note_posts (tenant_id, enhancement_id, ticket_id, reference, state, epoch, posts, note_id)
	SELECT 'tenant-' || g % $3, lpad(to_hex(g), 32, '0')::uuid, 'old-' || g, 'AIA-OLD-' || g, 'posted', 1, 1, g::text
	FROM generate_series($1::bigint, $2::bigint) g WHERE $4::bigint > 0`, `
	INSERT INTO model_calls (tenant_id, enhancement_id, model, outcome, prompt_tokens, completion_tokens, duration_ms, created_at)
	SELECT 'tenant-' || g % $3, lpad(to_hex(g), 32, '0')::uuid, 'gpt-4o-mini', 'ok', 1500, 400, 2000,
	  now() - interval '1 hour' - (($4::bigint - g) * 89.0 / $4::bigint) * interval '1 day'
	FROM generate_series($1::bigint, $2::bigint) g`, `
	INSERT INTO river_job (state, attempt, max_attempts, attempted_at, created_at, finalized_at, scheduled_at, priority, args, attempted_by, kind, queue, metadata)
	SELECT 'completed', 1, 10, at, at, at, at, 2,
	  jsonb_build_object('tenant_id', 'tenant-' || g % $3, 'enhancement_id', lpad(to_hex(g), 32, '0')::uuid), '{gone}', 'enhance_ticket', 'default', '{}'
	FROM generate_series($1::bigint, $2::bigint) g, LATERAL (SELECT now() - interval '1 minute' - (($4::bigint - g) * 0.5 / $4::bigint) * interval '1 day' AS at) t`,
}

// addFinished grows the tables to want rows each.
func (s *stage) addFinished(ctx context.Context, database string, from, want int) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The rows fit together by construction, so the checks of each one are saved.
	if _, err := conn.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return fmt.Errorf("add finished work: %w", err)
	}
	const chunk = 500_000
	for from < want {
		to := min(want, from+chunk)
		s.say("adding finished work: %d of %d", to, want)
		for _, sql := range finishedSQL {
			if _, err := conn.Exec(ctx, sql, from+1, to, s.world.tenants, want); err != nil {
				return fmt.Errorf("add finished work: %w", err)
			}
		}
		from = to
	}
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("settle tables: %w", err)
		}
	}
	return nil
}

// measureSize is the same work at every size.
func (s *stage) measureSize(ctx context.Context, b *build, database, name string) (size, error) {
	one := size{name: name}
	s.say("measuring at %s", name)
	if err := s.sims.reset(ctx); err != nil {
		return one, err
	}
	before, err := s.quiet(ctx, latencies{})
	if err != nil {
		return one, err
	}
	sent, err := s.timeIntake(ctx, b, database, &one)
	if err != nil {
		return one, err
	}
	run := drainRun{tickets: growthTickets, workers: 1}
	d, err := s.workOff(ctx, b, database, run, before, sent)
	if err != nil {
		return one, err
	}
	one.tickets = d.rate
	one.workMS = ms(cpuOfShare(d.shares, "work")+cpuOfShare(d.shares, "postgres")) / growthTickets
	t, err := s.timeNotes(ctx, b, database, latencies{Model: 100 * time.Millisecond}, s.opts.phase(5*time.Second))
	if err != nil {
		return one, err
	}
	one.added = millis(t.added, 95)
	return one, nil
}

// timeIntake sends the webhooks of one size; the first ones, which fill caches, are not timed.
func (s *stage) timeIntake(ctx context.Context, b *build, database string, one *size) (*load, error) {
	serve, err := s.startRole(ctx, b, "serve", database, unlimited...)
	if err != nil {
		return nil, err
	}
	g := &generator{stage: s, target: serve.addr}
	const warming = growthTickets / 5
	warm, err := g.closedCount(ctx, s.opts.connections, warming)
	if err != nil {
		return nil, err
	}
	m := s.meter(serve)
	sent, err := g.closedCount(ctx, s.opts.connections, growthTickets-warming)
	if err != nil {
		return nil, err
	}
	shares, _ := m.take()
	if warm.refused()+sent.refused() > 0 {
		return nil, fmt.Errorf("webhooks were refused: %v %v", warm.statuses, sent.statuses)
	}
	one.intake = float64(len(sent.accepted)) / sent.took.Seconds()
	one.intake9 = millis(sent.latency, 99)
	one.serveMS = ms(cpuOfShare(shares, "serve")+cpuOfShare(shares, "postgres")) / float64(sent.sent)
	sent.first = warm.first
	sent.accepted = append(sent.accepted, warm.accepted...)
	return sent, s.stopRoles()
}

// growTenants measures with ever more tenants over the same load.
func (s *stage) growTenants(ctx context.Context, b *build) ([]size, error) {
	usual := s.world.tenants
	defer func() { s.world.tenants = usual }()
	database, drop, err := s.copyOf(ctx, b, s.withTenants)
	if err != nil {
		return nil, err
	}
	defer drop()
	known := usual
	var sizes []size
	for _, n := range s.opts.tenantCounts {
		if err := s.createTenants(ctx, b, database, known, n); err != nil {
			return nil, err
		}
		known = max(known, n)
		s.world.tenants = n
		if err := s.sims.setTenants(ctx, n); err != nil {
			return nil, err
		}
		one, err := s.measureSize(ctx, b, database, strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, one)
	}
	s.world.tenants = usual
	return sizes, s.sims.setTenants(ctx, usual)
}

// createTenants calls the command line, a few at once.
func (s *stage) createTenants(ctx context.Context, b *build, database string, from, to int) error {
	if from >= to {
		return nil
	}
	s.say("creating tenants %d to %d", from, to-1)
	next := make(chan int)
	failed := make(chan error, 4)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range next {
				if err := s.program(b, database).Onboard(ctx, s.onboarded(n), nil); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// growBacklog measures beside a queue of waiting jobs, which are real webhooks that nobody has worked on yet.
func (s *stage) growBacklog(ctx context.Context, b *build) (size, error) {
	one := size{name: strconv.Itoa(s.opts.backlog)}
	database, drop, err := s.copyOf(ctx, b, s.withHistory)
	if err != nil {
		return one, err
	}
	defer drop()
	if err := s.sims.reset(ctx); err != nil {
		return one, err
	}
	before, err := s.quiet(ctx, latencies{})
	if err != nil {
		return one, err
	}
	s.say("queueing a backlog of %d webhooks", s.opts.backlog)
	queued, err := s.queue(ctx, b, database, s.opts.backlog)
	if err != nil {
		return one, err
	}
	if err := s.exec(ctx, database, "CHECKPOINT"); err != nil {
		return one, err
	}
	sent, err := s.timeIntake(ctx, b, database, &one)
	if err != nil {
		return one, err
	}
	work, err := s.startRole(ctx, b, "work", database, "AI_AGENTS_WORKER_CONCURRENCY="+strconv.Itoa(s.opts.concurrency))
	if err != nil {
		return one, err
	}
	m := s.meter(work)
	err = harness.WaitFor(ctx, 5*time.Minute, "notes beside a backlog", func() bool {
		now, err := s.sims.count(ctx)
		return err != nil || now.Notes-before.Notes >= growthTickets
	})
	if err != nil {
		return one, err
	}
	shares, _ := m.take()
	now, err := s.sims.count(ctx)
	if err != nil {
		return one, err
	}
	done := float64(now.Notes - before.Notes)
	one.workMS = ms(cpuOfShare(shares, "work")+cpuOfShare(shares, "postgres")) / done
	if err := s.stopRoles(); err != nil {
		return one, err
	}
	seen, err := s.sims.report(ctx, queued.first)
	if err != nil {
		return one, err
	}
	one.tickets = steadyRate(seen)
	return one, s.verifyPart(ctx, database, seen, queued, sent)
}

// verifyPart checks work that was stopped half-way: no ticket has two notes, each note belongs to a webhook that was accepted, and
// every accepted webhook has its note or waits for it.
func (s *stage) verifyPart(ctx context.Context, database string, seen map[int]outside, loads ...*load) error {
	accepted := map[int]bool{}
	for _, l := range loads {
		for _, a := range l.accepted {
			accepted[a.ticket] = true
		}
	}
	notes := 0
	for ticket, o := range seen {
		if o.Notes > 1 || (o.Notes == 1 && !accepted[ticket]) {
			return fmt.Errorf("%w: ticket %d has %d notes, accepted %t", errInvalid, ticket, o.Notes, accepted[ticket])
		}
		notes += o.Notes
	}
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	type state struct{ Completed, Pending int }
	rows, err := conn.Query(ctx, `SELECT count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'pending') AS pending
		FROM enhancement_history`)
	if err != nil {
		return fmt.Errorf("count runs: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[state])
	if err != nil {
		return fmt.Errorf("count runs: %w", err)
	}
	if found.Completed != notes || found.Completed+found.Pending != len(accepted) {
		return fmt.Errorf("%w: %d webhooks accepted, %d runs completed, %d pending, %d notes", errInvalid, len(accepted), found.Completed, found.Pending, notes)
	}
	return nil
}

// compareSizes adds a table and flags what got worse than the bound.
func (r *result) compareSizes(axis string, sizes []size) {
	g := grid{Title: "growth by " + axis + " (ratio to the smallest; above 1 is worse)", Header: []string{axis}}
	columns := []struct {
		name   string
		of     func(size) float64
		higher bool
	}{
		{"webhooks/s", func(s size) float64 { return s.intake }, true},
		{"202 p99 ms", func(s size) float64 { return s.intake9 }, false},
		{"CPU ms/webhook", func(s size) float64 { return s.serveMS }, false},
		{"tickets/s", func(s size) float64 { return s.tickets }, true},
		{"CPU ms/ticket", func(s size) float64 { return s.workMS }, false},
		{"added p95 ms", func(s size) float64 { return s.added }, false},
	}
	for _, c := range columns {
		g.Header = append(g.Header, c.name, "ratio")
	}
	for _, s := range sizes {
		row := []string{s.name}
		for _, c := range columns {
			base, v := c.of(sizes[0]), c.of(s)
			if v == 0 {
				row = append(row, "-", "-")
				continue
			}
			worse := v / base
			if c.higher {
				worse = base / v
			}
			row = append(row, figure(v), figure(worse))
			r.add(axis+" "+s.name+": "+c.name, v, "", map[bool]string{true: "higher", false: "lower"}[c.higher])
			if worse > growthBound {
				r.Exceeded = append(r.Exceeded, fmt.Sprintf("%s %s: %s is %s times worse than at %s", axis, s.name, c.name, figure(worse), sizes[0].name))
			}
		}
		g.Rows = append(g.Rows, row)
	}
	r.Grids = append(r.Grids, g)
}
