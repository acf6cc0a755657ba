package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// The clients of pgbench; the better of the two is the limit.
var pgbenchClients = []int{8, 32}

// playIntake measures a serve process alone, as in a busy minute in which work is left to others; the notes are written, and
// counted, afterwards.
func playIntake(ctx context.Context, s *stage, b *build) (*result, error) {
	bare, err := s.withTenants(ctx, b)
	if err != nil {
		return nil, err
	}
	aside, err := s.fresh(ctx, bare) // pgbench's own
	if err != nil {
		return nil, err
	}
	defer s.drop(context.WithoutCancel(ctx), aside)
	recorded, err := s.recordIntake(ctx, b, aside)
	if err != nil {
		return nil, err
	}
	if err := s.sims.reset(ctx); err != nil {
		return nil, err
	}
	database, err := s.fresh(ctx, bare)
	if err != nil {
		return nil, err
	}
	defer s.drop(context.WithoutCancel(ctx), database)
	before, err := s.quiet(ctx, latencies{})
	if err != nil {
		return nil, err
	}
	in := &intake{stage: s, recorded: recorded, aside: aside}
	if err := in.measure(ctx, b, database); err != nil {
		return nil, err
	}
	if err := s.settle(ctx, b, database, before, in.all...); err != nil {
		return nil, err
	}
	return in.describe(), nil
}

// intake is what one serve process and pgbench reached in turns.
type intake struct {
	stage    *stage
	recorded recording
	aside    string
	limits   []limit
	closed   []*load
	half     *load // open loop at half the rate of the closed one
	halfRate float64
	steady   *load // open loop at 200 a second
	all      []*load
	shares   []share
}

// intakeRounds is how often pgbench and the closed loop take turns, so that a slow moment of the machine meets both.
const intakeRounds = 2

func (in *intake) measure(ctx context.Context, b *build, database string) error {
	s := in.stage
	serve, err := s.startRole(ctx, b, "serve", database, unlimited...)
	if err != nil {
		return err
	}
	g := &generator{stage: s, target: serve.addr}
	if _, err := in.keep(g.closed(ctx, s.opts.connections, time.Second)); err != nil { // warm
		return err
	}
	sc := in.recorded.script(tenantID(s.world.tenantOf(in.recorded.ticket)), s.opts.tenants)
	phase := s.opts.phase(3 * time.Second)
	for range intakeRounds {
		for _, clients := range pgbenchClients {
			s.say("pgbench with the product's own %d statements, %d clients", len(in.recorded.statements), clients)
			l, err := s.pgbench(ctx, in.aside, sc, clients, phase)
			if err != nil {
				return err
			}
			in.limits = append(in.limits, l)
		}
		s.say("closed loop, %d connections", s.opts.connections)
		m := s.meter(serve)
		l, err := in.keep(g.closed(ctx, s.opts.connections, phase))
		if err != nil {
			return err
		}
		in.closed = append(in.closed, l)
		shares, _ := m.take()
		in.shares = addShares(in.shares, shares)
	}
	in.halfRate = in.closedRate() / 2
	s.say("open loop at half of that, %.0f a second", in.halfRate)
	if in.half, err = in.keep(g.open(ctx, in.halfRate, phase, 256)); err != nil {
		return err
	}
	s.say("open loop at %d a second", peakRate)
	if in.steady, err = in.keep(g.open(ctx, peakRate, phase, 64)); err != nil {
		return err
	}
	return s.stopRoles()
}

// peakRate is ten times a large provider's busiest time, in webhooks a second.
const peakRate = 200

func (in *intake) keep(l *load, err error) (*load, error) {
	if err == nil {
		in.all = append(in.all, l)
	}
	return l, err
}

func (in *intake) closedRate() float64 {
	var accepted, seconds float64
	for _, l := range in.closed {
		accepted += float64(len(l.accepted))
		seconds += l.took.Seconds()
	}
	return accepted / seconds
}

// limit is the mean of the rounds with the number of clients.
func (in *intake) limit(clients int) float64 {
	sum := 0.0
	for _, l := range in.limits {
		if l.clients == clients {
			sum += l.tps
		}
	}
	return sum / intakeRounds
}

func addShares(a, b []share) []share {
	if a == nil {
		return b
	}
	for i := range a {
		a[i].CPU += b[i].CPU
		a[i].PeakRSS = max(a[i].PeakRSS, b[i].PeakRSS)
	}
	return a
}

// settle has the accepted tickets worked off and checks them.
func (s *stage) settle(ctx context.Context, b *build, database string, before counts, loads ...*load) error {
	n := 0
	for _, l := range loads {
		n += len(l.accepted)
	}
	s.say("writing the %d notes that were accepted, to check them", n)
	// Without a model: the same path to the desk, at less cost for a check.
	if _, err := s.startRole(ctx, b, "work", database, "AI_AGENTS_OPENAI_API_KEY="); err != nil {
		return err
	}
	if err := s.drain(ctx, before, loads...); err != nil {
		return err
	}
	if _, err := s.verify(ctx, loads...); err != nil {
		return err
	}
	return s.stopRoles()
}

func (in *intake) describe() *result {
	r := &result{Shares: in.shares, Notes: []string{
		fmt.Sprintf("pgbench repeats the %d statements that serve sent for one webhook, from begin to commit, prepared; the better number of clients is the limit",
			len(in.recorded.statements)),
		"one serve process, limits on senders off; every 202 became exactly one note afterwards",
	}}
	best := 0.0
	for _, clients := range pgbenchClients {
		best = max(best, in.limit(clients))
		r.add(fmt.Sprintf("pgbench, %d clients", clients), in.limit(clients), "1/s", "")
	}
	r.add("closed loop", in.closedRate(), "1/s", "higher")
	r.add("of pgbench", 100*in.closedRate()/best, "%", "higher").goal(70)
	h := newHistogram()
	n := 0.0
	for _, l := range in.closed {
		h.Merge(l.latency)
		n += float64(l.sent)
		for status, count := range l.statuses {
			if status != http.StatusAccepted {
				r.Notes = append(r.Notes, fmt.Sprintf("closed loop: %d answers with status %d", count, status))
			}
		}
	}
	r.addLatency("closed loop", h)
	r.add("half rate", in.halfRate, "1/s", "")
	r.addLatency("half rate", in.half.latency)
	r.goalOf("half rate p99", 20)
	r.add("half rate refused", float64(in.half.refused()), "webhooks", "lower").goal(0)
	r.addLatency("200/s", in.steady.latency)
	r.goalOf("200/s p99", 25)
	r.add("200/s refused", float64(in.steady.refused()), "webhooks", "lower").goal(0)
	for _, name := range []string{"serve", "postgres", "load generator"} {
		r.add(name+" CPU", cpuOfShare(in.shares, name).Seconds()*1000/n, "ms/webhook", "lower")
	}
	return r
}
