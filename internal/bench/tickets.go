package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// drainRun is a backlog worked off by worker processes.
type drainRun struct {
	tickets     int
	workers     int
	concurrency int // of each worker; 0 is the run's
	latencies   latencies
}

// jobs is how many jobs a worker has under way at once.
func (run drainRun) jobs(s *stage) int {
	if run.concurrency > 0 {
		return run.concurrency
	}
	return s.opts.concurrency
}

// drained is what was measured of it.
type drained struct {
	rate     float64 // between the first and the last tenth of the notes
	elapsed  time.Duration
	shares   []share
	database growth
	pool     poolUse
	tokens   tokenUse
}

func playTickets(ctx context.Context, s *stage, b *build) (*result, error) {
	return playDrain(ctx, s, b, drainRun{tickets: s.opts.tickets, workers: 1}, 300)
}

func playWaiting(ctx context.Context, s *stage, b *build) (*result, error) {
	return playDrain(ctx, s, b, drainRun{
		tickets: s.opts.tickets, workers: 1, latencies: latencies{Model: 2 * time.Second, Desk: 50 * time.Millisecond},
	}, 150)
}

func playDrain(ctx context.Context, s *stage, b *build, run drainRun, goal float64) (*result, error) {
	d, err := s.drainBacklog(ctx, b, run)
	if err != nil {
		return nil, err
	}
	r := &result{Shares: d.shares}
	d.describe(r, s, run)
	r.goalOf("tickets", goal)
	r.goalOf("work peak RSS", 256)
	return r, nil
}

// drainBacklog queues tickets through serve, then measures how worker processes work them off.
func (s *stage) drainBacklog(ctx context.Context, b *build, run drainRun) (*drained, error) {
	database, drop, err := s.copyOf(ctx, b, s.withHistory)
	if err != nil {
		return nil, err
	}
	defer drop()
	before, err := s.quiet(ctx, run.latencies)
	if err != nil {
		return nil, err
	}
	sent, err := s.queue(ctx, b, database, run.tickets)
	if err != nil {
		return nil, err
	}
	return s.workOff(ctx, b, database, run, before, sent)
}

// quiet sets the latencies and returns how far the work has come before.
func (s *stage) quiet(ctx context.Context, l latencies) (counts, error) {
	if err := s.sims.setLatencies(ctx, l); err != nil {
		return counts{}, err
	}
	return s.sims.count(ctx)
}

// workOff measures how worker processes work off what was queued.
func (s *stage) workOff(ctx context.Context, b *build, database string, run drainRun, before counts, sent *load) (*drained, error) {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	sizeBefore, err := sizesOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	var workers []*product
	for range run.workers {
		w, err := s.startRole(ctx, b, "work", database, "AI_AGENTS_WORKER_CONCURRENCY="+strconv.Itoa(run.jobs(s)))
		if err != nil {
			return nil, err
		}
		workers = append(workers, w)
	}
	m := s.meter(workers...)
	stopWatch := s.watchPool(ctx, database)
	err = s.drain(ctx, before, sent)
	d := &drained{pool: stopWatch()}
	d.shares, d.elapsed = m.take()
	if err != nil {
		return nil, err
	}
	seen, err := s.verify(ctx, sent)
	if err != nil {
		return nil, err
	}
	d.rate = steadyRate(seen)
	// Sessions hand in their statistics when they end.
	if err := s.stopRoles(); err != nil {
		return nil, err
	}
	sizeAfter, err := sizesOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	d.database = sizeAfter.since(sizeBefore)
	d.tokens, err = tokensOf(ctx, conn)
	return d, err
}

// queue sends webhooks through a serve process of its own, which has ended when the work begins.
func (s *stage) queue(ctx context.Context, b *build, database string, tickets int) (*load, error) {
	serve, err := s.startRole(ctx, b, "serve", database, unlimited...)
	if err != nil {
		return nil, err
	}
	g := &generator{stage: s, target: serve.addr}
	sent, err := g.closedCount(ctx, s.opts.connections, tickets)
	if err != nil {
		return nil, err
	}
	if sent.refused() > 0 {
		return nil, fmt.Errorf("of %d webhooks, some were refused: %v", sent.sent, sent.statuses)
	}
	return sent, s.stopRoles()
}

// steadyRate is notes a second between the first and the last tenth, so that neither the start nor the last stragglers count.
func steadyRate(seen map[int]outside) float64 {
	var at []int64
	for _, o := range seen {
		if o.Finished > 0 {
			at = append(at, o.Finished)
		}
	}
	slices.Sort(at)
	from, to := len(at)/10, len(at)*9/10
	if to <= from || at[to] == at[from] {
		return 0
	}
	return float64(to-from) / time.Duration(at[to]-at[from]).Seconds()
}

// describe writes the figures of a drained backlog.
func (d *drained) describe(r *result, s *stage, run drainRun) {
	n := float64(run.tickets)
	r.Notes = append(r.Notes, fmt.Sprintf("%d tickets of %d tenants with %d past tickets each; model %s, desk %s; %d worker(s), AI_AGENTS_WORKER_CONCURRENCY=%d",
		run.tickets, s.opts.tenants, s.opts.history, run.latencies.Model, run.latencies.Desk, run.workers, run.jobs(s)),
		"every 202 is exactly one note on its desk")
	r.add("tickets", d.rate, "1/s", "higher")
	var peak int64
	for _, p := range d.shares {
		if p.Name == "work" {
			peak = max(peak, p.PeakRSS)
		}
	}
	r.add("work peak RSS", mib(peak), "MiB", "lower")
	perTicket := func(name string) float64 { return cpuOfShare(d.shares, name).Seconds() * 1000 / n }
	r.add("work CPU", perTicket("work"), "ms/ticket", "lower")
	r.add("postgres CPU", perTicket("postgres"), "ms/ticket", "lower")
	r.add("simulators CPU", perTicket("simulators"), "ms/ticket", "")
	r.add("pool in use, mean", d.pool.mean, "connections", "lower")
	r.add("pool in use, most", float64(d.pool.most), "connections", "lower")
	r.add("pool open, most", float64(d.pool.open), "connections", "")
	r.add("transactions", float64(d.database.Transactions)/n, "1/ticket", "lower")
	r.add("WAL", float64(d.database.WAL)/1024/n, "KiB/ticket", "lower")
	r.add("stored", float64(d.database.Bytes)/1024/n, "KiB/ticket", "lower")
	r.add("model calls", float64(d.tokens.Calls)/n, "1/ticket", "")
	r.add("prompt tokens", float64(d.tokens.Prompt)/n, "1/ticket", "")
	r.add("completion tokens", float64(d.tokens.Completion)/n, "1/ticket", "")
	r.add("model cost", 1000*d.tokens.Cost/n, "USD/1000 tickets", "")
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// growth is what work leaves in the database and sends through it.
type growth struct {
	Bytes, WAL, Transactions int64
}

func (g growth) since(before growth) growth {
	return growth{g.Bytes - before.Bytes, g.WAL - before.WAL, g.Transactions - before.Transactions}
}

func sizesOf(ctx context.Context, conn *pgx.Conn) (growth, error) {
	rows, err := conn.Query(ctx, `
		SELECT pg_database_size(current_database()) AS bytes, (pg_current_wal_lsn() - '0/0')::bigint AS wal,
		       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS transactions`)
	if err != nil {
		return growth{}, fmt.Errorf("read sizes: %w", err)
	}
	g, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[growth])
	if err != nil {
		return g, fmt.Errorf("read sizes: %w", err)
	}
	return g, nil
}

// tokenUse is what the model was asked and answered.
type tokenUse struct {
	Calls, Prompt, Completion int64
	Cost                      float64 // US dollars, at the prices that the product knows
}

func tokensOf(ctx context.Context, conn *pgx.Conn) (tokenUse, error) {
	rows, err := conn.Query(ctx, `
		SELECT count(*) AS calls, coalesce(sum(prompt_tokens), 0)::bigint AS prompt, coalesce(sum(completion_tokens), 0)::bigint AS completion,
		       coalesce(sum(cost_usd), 0) AS cost FROM model_calls`)
	if err != nil {
		return tokenUse{}, fmt.Errorf("read tokens: %w", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[tokenUse])
	if err != nil {
		return t, fmt.Errorf("read tokens: %w", err)
	}
	return t, nil
}

// poolUse is how many of the product's connections were in the middle of something, sampled.
type poolUse struct {
	mean float64
	most int
	open int
}

// watchPool samples the product's sessions until the returned function is called.
func (s *stage) watchPool(ctx context.Context, database string) func() poolUse {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan poolUse, 1)
	go func() {
		var use poolUse
		var sum, samples int
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		defer func() {
			if samples > 0 {
				use.mean = float64(sum) / float64(samples)
			}
			done <- use
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var busy, open int
			if s.watcher.QueryRow(ctx, `
				SELECT count(*) FILTER (WHERE state <> 'idle'), count(*) FROM pg_stat_activity
				WHERE datname = $1 AND usename = 'aiagents_app'`, database).Scan(&busy, &open) != nil {
				continue
			}
			sum, samples = sum+busy, samples+1
			use.most, use.open = max(use.most, busy), max(use.open, open)
		}
	}()
	return func() poolUse { cancel(); return <-done }
}
