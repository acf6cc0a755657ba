package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"aiagents/internal/harness"
)

// floodRate is how many tickets a second the flooding tenant files: three times what its desk lets all workers answer together.
const floodRate = 100

// flood measures how long a quiet tenant waits for its notes, alone and while another tenant files thousands of tickets.
// The desks' own limit of 10 requests a second and process is the product's default here, since waiting for it is one
// of the ways in which one tenant could hold up another.
func flood(ctx context.Context, r *rig) (map[string]string, error) {
	for _, s := range r.work {
		if err := s.replace(ctx, []string{"AI_AGENTS_NOTIFIER_REQUESTS_PER_SECOND=10"}); err != nil {
			return nil, err
		}
	}
	r.model.setSteady(true)
	defer r.model.setSteady(false)
	dice := r.opts.dice("flood")
	loud, quiet := r.tenants[0], r.tenants[1]
	const probes, every = 120, 3.0
	alone, err := r.probe(ctx, quiet, dice, probes, every)
	if err != nil {
		return nil, err
	}
	flooding := make([]delivery, r.opts.flood)
	for i := range flooding {
		flooding[i] = delivery{filing: r.newFiling(loud, dice), event: eventCreated}
	}
	r.say("flood: %d tickets of %s", len(flooding), loud.id)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.sender.run(ctx, flooding, floodRate)
	}()
	harness.Pause(ctx, 3*time.Second)
	under, err := r.probe(ctx, quiet, dice, probes, every)
	<-ended
	if err != nil {
		return nil, err
	}
	limit := float64(r.opts.flood)/(10*workProcesses) + 120
	if _, err := r.settle(ctx, time.Duration(limit)*time.Second); err != nil {
		return nil, err
	}
	for _, s := range r.work {
		if err := s.replace(ctx, nil); err != nil {
			return nil, err
		}
	}
	a, u := percentile(alone, 0.95), percentile(under, 0.95)
	out := map[string]string{
		"quiet tenant alone, p50 / p95 / max s":                    spread(alone),
		"quiet tenant under flood, p50 / p95 / max s":              spread(under),
		"flood, tickets at " + fmt.Sprint(floodRate) + " a second": fmt.Sprint(r.opts.flood),
		"p95 under flood against alone":                            fmt.Sprintf("%+.0f %%", 100*(u.Seconds()/a.Seconds()-1)),
	}
	if u > a*6/5 {
		r.timeline.problem(fmt.Sprintf("fairness: the quiet tenant's p95 went from %s to %s, more than 20 %%", seconds(a), seconds(u)))
	}
	return out, nil
}

// probe files tickets of one tenant at a steady pace and measures from the 202 to the note.
func (r *rig) probe(ctx context.Context, t *tenant, dice *rand.Rand, n int, perSecond float64) ([]time.Duration, error) {
	mine := make([]delivery, n)
	for i := range mine {
		mine[i] = delivery{filing: r.newFiling(t, dice), event: eventCreated}
	}
	r.sender.run(ctx, mine, perSecond)
	noted := map[string]time.Time{}
	err := harness.WaitFor(ctx, 5*time.Minute, "notes of "+t.id, func() bool {
		for _, d := range mine {
			if noted[d.id].IsZero() {
				if notes := t.desk.Notes(d.id); len(notes) > 0 {
					noted[d.id] = notes[0].Added
				}
			}
		}
		return len(noted) == len(mine)
	})
	var took []time.Duration
	for ticket, at := range r.sender.acceptedAt(t.id) {
		if !noted[ticket].IsZero() {
			took = append(took, noted[ticket].Sub(at))
		}
	}
	slices.Sort(took)
	return took, err
}

// acceptedAt are the times of the first 202 for each ticket of a tenant, as far as take has not taken them.
func (s *sender) acceptedAt(tenant string) map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := map[string]time.Time{}
	for _, a := range s.accepted {
		if _, known := first[a.Ticket]; a.Tenant == tenant && !known {
			first[a.Ticket] = a.At
		}
	}
	return first
}
