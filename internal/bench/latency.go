package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyRate is how many tickets a second arrive while the way of each one is timed.
const latencyRate = 20

func playLatency(ctx context.Context, s *stage, b *build) (*result, error) {
	database, drop, err := s.copyOf(ctx, b, s.withHistory)
	if err != nil {
		return nil, err
	}
	defer drop()
	outer := latencies{Model: 2 * time.Second, Desk: 50 * time.Millisecond}
	t, err := s.timeNotes(ctx, b, database, outer, s.opts.phase(15*time.Second))
	if err != nil {
		return nil, err
	}
	r := &result{Shares: t.shares, Notes: []string{
		fmt.Sprintf("open loop, %d tickets a second, %d of them; %d past tickets a tenant; model %s, desk %s; one serve and one work process",
			latencyRate, t.sent.sent, s.opts.history, outer.Model, outer.Desk),
		"added is the time from the intended sending to the note, less all time in which the model or the desk had a request of the ticket",
		"every 202 is exactly one note on its desk",
	}}
	r.addLatency("added", t.added)
	r.goalOf("added p95", 150)
	r.addLatency("webhook to note", t.whole)
	r.addLatency("202", t.sent.latency)
	return r, nil
}

// timedNotes is the way of tickets from webhook to note.
type timedNotes struct {
	sent         *load
	added, whole *hdrhistogram.Histogram
	shares       []share
}

// timeNotes sends tickets at latencyRate to a serve and a work process and times each one's way.
func (s *stage) timeNotes(ctx context.Context, b *build, database string, outer latencies, d time.Duration) (*timedNotes, error) {
	before, err := s.quiet(ctx, outer)
	if err != nil {
		return nil, err
	}
	serve, err := s.startRole(ctx, b, "serve", database, unlimited...)
	if err != nil {
		return nil, err
	}
	work, err := s.startRole(ctx, b, "work", database)
	if err != nil {
		return nil, err
	}
	g := &generator{stage: s, target: serve.addr}
	warm, err := g.open(ctx, latencyRate, 2*time.Second, 16)
	if err != nil {
		return nil, err
	}
	m := s.meter(serve, work)
	sent, err := g.open(ctx, latencyRate, d, 64)
	if err != nil {
		return nil, err
	}
	if err := s.drain(ctx, before, warm, sent); err != nil {
		return nil, err
	}
	t := &timedNotes{sent: sent, added: newHistogram(), whole: newHistogram()}
	t.shares, _ = m.take()
	seen, err := s.verify(ctx, warm, sent)
	if err != nil {
		return nil, err
	}
	for _, a := range sent.accepted {
		o := seen[a.ticket]
		whole := time.Duration(o.Finished - a.intended.UnixNano())
		record(t.whole, whole)
		record(t.added, whole-busyTime(o.Busy, a.intended.UnixNano(), o.Finished))
	}
	return t, s.stopRoles()
}

// busyTime is how much of from to is covered by at least one span.
func busyTime(spans []span, from, to int64) time.Duration {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b span) int { return int(a.From - b.From) })
	var sum int64
	for _, s := range spans {
		begin, end := max(s.From, from), min(s.To, to)
		if end > begin {
			sum += end - begin
			from = end
		}
	}
	return time.Duration(sum)
}

// playSteady is a provider's ten-fold peak for as long as asked, with the settings as shipped.
func playSteady(ctx context.Context, s *stage, b *build) (*result, error) {
	database, drop, err := s.copyOf(ctx, b, s.withTenants)
	if err != nil {
		return nil, err
	}
	defer drop()
	before, err := s.quiet(ctx, latencies{})
	if err != nil {
		return nil, err
	}
	serve, err := s.startRole(ctx, b, "serve", database)
	if err != nil {
		return nil, err
	}
	work, err := s.startRole(ctx, b, "work", database, "AI_AGENTS_OPENAI_API_KEY=")
	if err != nil {
		return nil, err
	}
	m := s.meter(serve, work)
	sent, err := (&generator{stage: s, target: serve.addr}).open(ctx, peakRate, s.opts.phase(10*time.Minute), 64)
	if err != nil {
		return nil, err
	}
	if err := s.drain(ctx, before, sent); err != nil {
		return nil, err
	}
	r := &result{Notes: []string{"all settings as shipped, no model; every 202 is exactly one note on its desk"}}
	r.Shares, _ = m.take()
	if _, err := s.verify(ctx, sent); err != nil {
		return nil, err
	}
	r.add("sent", float64(sent.sent), "webhooks", "")
	r.add("rate", float64(sent.sent)/sent.took.Seconds(), "1/s", "")
	r.addLatency("202", sent.latency)
	r.goalOf("202 p99", 25)
	r.add("refused", float64(sent.refused()), "webhooks", "lower").goal(0)
	return r, s.stopRoles()
}
