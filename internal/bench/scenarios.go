package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// scenario is one measurement.
type scenario struct {
	name, about string
	standard    bool
	play        func(context.Context, *stage, *build) (*result, error)
}

// scenarios in the order of the standard set.
var scenarios []scenario

func init() { // a function, since scenarios lead back to this list
	scenarios = []scenario{
		{"intake", "signed webhooks a second, beside what Postgres allows; latencies in the open loop", true, playIntake},
		{"tickets", "tickets a second through one worker, with an instant model", true, playTickets},
		{"waiting", "tickets a second through one worker, with a model that takes 2 s", true, playWaiting},
		{"latency", "time from webhook to note that is ours, at 20 tickets a second", true, playLatency},
		{"start", "from exec to ready, idle memory, size", true, playStart},
		{"workers4", "four worker processes, beside what one predicts", true, playWorkers},
		{"steady", "200 webhooks a second in the open loop for ten minutes, with one worker beside it", false, playSteady},
		{"growth", "with ever more finished work, tenants, and waiting jobs", false, playGrowth},
	}
}

// chosen resolves names that were checked before.
func chosen(names []string) []scenario {
	var out []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		out = append(out, scenarios[i])
	}
	return out
}

// play runs one scenario with empty desks.
func (s *stage) play(ctx context.Context, sc scenario, b *build) (*result, error) {
	s.say("%s of %s", sc.name, b.name)
	if err := s.sims.reset(ctx); err != nil {
		return nil, err
	}
	s.playing = sc.name
	r, err := sc.play(ctx, s, b)
	if err != nil {
		_ = s.stopRoles() // the first error is the one to report
		return nil, fmt.Errorf("%s of %s: %w", sc.name, b.name, err)
	}
	r.Scenario, r.About, r.Build = sc.name, sc.about, b.name
	if err := s.stopRoles(); err != nil {
		return nil, err
	}
	return r, s.summarise(ctx, r)
}

// meter reads what every process has used, from the time at which it is made.
type meter struct {
	stage    *stage
	products []*product
	begin    time.Time
	cpu      []time.Duration
}

func (s *stage) meter(products ...*product) *meter {
	m := &meter{stage: s, products: products, begin: time.Now()}
	for _, u := range m.read() {
		m.cpu = append(m.cpu, u.CPU)
	}
	return m
}

// read is in the order of names.
func (m *meter) read() []usage {
	var all []usage
	for _, p := range m.products {
		all = append(all, usageOf(p.cmd.Process.Pid))
	}
	return append(all, treeUsage(m.stage.postmaster), usageOf(m.stage.sims.process.cmd.Process.Pid), ownUsage())
}

func (m *meter) names() []string {
	var names []string
	for _, p := range m.products {
		names = append(names, p.role)
	}
	return append(names, "postgres", "simulators", "load generator")
}

// take is what was used since the meter was made.
func (m *meter) take() ([]share, time.Duration) {
	took := time.Since(m.begin)
	var out []share
	names := m.names()
	for i, u := range m.read() {
		out = append(out, share{Name: names[i], CPU: u.CPU - m.cpu[i], PeakRSS: u.PeakRSS})
	}
	return out, took
}

func cpuOfShare(shares []share, name string) time.Duration {
	var sum time.Duration
	for _, s := range shares {
		if s.Name == name {
			sum += s.CPU
		}
	}
	return sum
}
