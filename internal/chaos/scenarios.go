package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"aiagents/internal/harness"
)

// scenario is a load and what breaks meanwhile.
type scenario struct {
	name, about string
	faults      func(o options, over time.Duration) []fault
	// load makes the deliveries; nil is the usual one.
	load func(r *rig, dice *rand.Rand) []delivery
	// custom runs a scenario of its own shape instead of load and faults.
	custom func(ctx context.Context, r *rig) (map[string]string, error)
	// alone keeps a scenario out of "all": it is long, or needs a rig of its own.
	alone bool
}

func only(f fault) func(options, time.Duration) []fault {
	return func(options, time.Duration) []fault { return []fault{f} }
}

var scenarios = []scenario{
	{name: "baseline", about: "nothing breaks", faults: func(options, time.Duration) []fault { return nil }},
	{name: "worker_kill", about: "SIGKILL of random workers", faults: func(o options, over time.Duration) []fault {
		return []fault{killWorkers(o.workerKills, over)}
	}},
	{name: "api_kill", about: "SIGKILL of random serve processes; unacknowledged webhooks are sent again", faults: func(o options, over time.Duration) []fault {
		return []fault{killAPI(o.apiKills, over)}
	}},
	{name: "crash_points", about: "SIGKILL at each of the points k1 to k11", faults: func(o options, _ time.Duration) []fault {
		return []fault{crashPoints(o.pointKills)}
	}},
	{name: "postgres_crash", about: "immediate stops of Postgres, away up to 2 s", faults: func(o options, over time.Duration) []fault {
		return []fault{crashPostgres(o.postgresCrashes, over)}
	}},
	{name: "links_cut", about: "connections to Postgres, model and desks closed or reset", faults: func(o options, over time.Duration) []fault {
		return []fault{cutLinks(o.linkResets, over)}
	}},
	{name: "postgres_silent", about: "the link to Postgres drops everything for 20 s", faults: only(silencePostgres(3*time.Second, 20*time.Second))},
	{name: "model_faults", about: "30 % of the model's answers: 429, 5xx, cut, garbage, refusal, invention, stall", faults: only(breakModel(0.3))},
	{name: "desk_faults", about: "25 % of the note requests: 500 before and after applying, cut, late, 429; lists lag", faults: only(breakDesks(0.25))},
	{name: "desk_unauthorized", about: "one desk refuses the key for 10 s, then takes it again", faults: only(refuseKey(2*time.Second, 10*time.Second))},
	{
		name: "duplicates", about: "each webhook one to five times at once, with other events of the ticket before it", load: duplicated,
		faults: func(options, time.Duration) []fault { return nil },
	},
	{name: "lost_webhooks", about: "tickets are filed and no webhook is ever sent: reconciliation has to find them", custom: loseWebhooks},
	{name: "freeze", about: "SIGSTOP of a worker until others took its jobs, then SIGCONT", faults: func(_ options, over time.Duration) []fault {
		return []fault{freezeWorkers(2, over)}
	}},
	{
		name: skewScenario, about: "the clocks of all workers, and so the leader's, are ten minutes off; leaders are killed", alone: true,
		faults: func(_ options, over time.Duration) []fault { return []fault{skewClocks(over)} },
	},
	{name: "rolling_restart", about: "SIGTERM of every process, one after the other", faults: only(restartAll)},
	{name: "disk_full", about: "the disk of Postgres runs full for 8 s (needs root and unshare)", custom: diskFull, alone: true},
	{name: "flood", about: "one tenant files thousands of tickets; how much slower are the notes of another", custom: flood, alone: true},
	{name: "storm", about: "kills, Postgres crashes, cut links, model and desk faults and duplicates, all at once", load: duplicated, faults: storm, alone: true},
}

func storm(o options, over time.Duration) []fault {
	return []fault{
		killWorkers(o.workerKills, over), killAPI(o.apiKills, over), crashPostgres(o.postgresCrashes, over),
		cutLinks(o.linkResets, over), crashPoints(o.pointKills), breakModel(0.05), breakDesks(0.05),
	}
}

// chosen resolves names; "all" are those that share one rig and end within a minute or two each.
func chosen(names string) ([]string, error) {
	var out []string
	for _, name := range strings.Split(names, ",") {
		name = strings.TrimSpace(name)
		if name == "all" {
			for _, s := range scenarios {
				if !s.alone {
					out = append(out, s.name)
				}
			}
			continue
		}
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return nil, fmt.Errorf("unknown scenario %q: -list names them", name)
		}
		out = append(out, name)
	}
	return out, nil
}

// duplicated sends every delivery one to five times, shuffled over a short stretch, and other events of a ticket before
// its creation is reported.
func duplicated(r *rig, dice *rand.Rand) []delivery {
	var all []delivery
	for _, d := range r.deliveries(r.opts.webhooks, dice) {
		if dice.IntN(5) == 0 {
			all = append(all, delivery{filing: d.filing, event: eventUpdated})
		}
		copies := 1
		if dice.IntN(2) == 0 {
			copies += dice.IntN(5)
		}
		for range copies {
			all = append(all, d)
		}
	}
	const stretch = 20
	for from := 0; from < len(all); from += stretch {
		part := all[from:min(from+stretch, len(all))]
		dice.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return all
}

// play runs one scenario and judges it.
func (r *rig) play(ctx context.Context, s scenario) (result, error) {
	r.say("%s: %s", s.name, s.about)
	begin := time.Now()
	out := result{scenario: s}
	if err := r.allReady(ctx, time.Minute); err != nil {
		return out, err
	}
	var err error
	if s.custom != nil {
		out.extra, err = s.custom(ctx, r)
	} else {
		err = r.loadUnderFaults(ctx, s, &out)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", s.name, err)
	}
	waited, err := r.settle(ctx, r.patience())
	if err != nil {
		return out, err
	}
	e, err := r.collect(ctx, waited)
	if err != nil {
		return out, fmt.Errorf("%s: %w", s.name, err)
	}
	out.counts = e.done.counts
	out.findings = check(e)
	out.took = time.Since(begin)
	if n := r.sender.gaveUp.Swap(0); n > 0 {
		out.broken = append(out.broken, fmt.Sprintf("%d webhooks were not accepted within %s", n, giveUp))
	}
	out.refused = r.sender.refused.Swap(0)
	r.say("%s: %s", s.name, out.short())
	return out, nil
}

// loseWebhooks files tickets of which nobody tells the product, and waits until all have their notes.
func loseWebhooks(ctx context.Context, r *rig) (map[string]string, error) {
	lost := r.deliveries(min(r.opts.webhooks, 40), r.opts.dice("lost_webhooks"))
	for _, d := range lost {
		if err := d.file(); err != nil {
			return nil, err
		}
	}
	noted := func() bool {
		return !slices.ContainsFunc(lost, func(d delivery) bool { return len(d.tenant.desk.Notes(d.id)) == 0 })
	}
	// The verdict is the checker's: what has no note by then is lost.
	_ = harness.WaitFor(ctx, r.opts.reconcilePatience(), "notes of unreported tickets", noted)
	return nil, ctx.Err()
}

// loadUnderFaults sends the load while the faults strike. The faults end with the load.
func (r *rig) loadUnderFaults(ctx context.Context, s scenario, out *result) error {
	dice := r.opts.dice(s.name)
	load := s.load
	if load == nil {
		load = func(r *rig, dice *rand.Rand) []delivery { return r.deliveries(r.opts.webhooks, dice) }
	}
	deliveries := load(r, dice)
	out.sent = len(deliveries)
	over := time.Duration(float64(len(deliveries)) / r.opts.rate * float64(time.Second))
	sending, sent := context.WithCancel(ctx)
	defer sent()
	var group errgroup.Group
	for i, f := range s.faults(r.opts, over) {
		own := r.opts.dice(fmt.Sprintf("%s/%d", s.name, i))
		group.Go(func() error { return f(sending, r, own) })
	}
	r.sender.run(ctx, deliveries, r.opts.rate)
	sent()
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// patience is how long work may take to come to rest after the last webhook: an ambiguous note waits its quiet time, maybe
// more than once, and a worker that died last has to be missed first.
func (r *rig) patience() time.Duration { return 4*r.opts.quietTime() + 2*time.Minute }
