package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aiagents/internal/harness"
)

// drain waits until every accepted webhook of the loads has its note, at most until nothing has happened for a while.
func (s *stage) drain(ctx context.Context, before counts, loads ...*load) error {
	want := before.Notes
	for _, l := range loads {
		want += len(l.accepted)
	}
	const patience = 30 * time.Second
	last, since := -1, time.Now()
	for ctx.Err() == nil {
		now, err := s.sims.count(ctx)
		if err != nil {
			return err
		}
		if now.Notes >= want {
			return nil
		}
		if now.Notes != last {
			if last/5000 != now.Notes/5000 && last >= 0 {
				s.say("%d of %d notes written", now.Notes-before.Notes, want-before.Notes)
			}
			last, since = now.Notes, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("no note for %s: %d of %d accepted webhooks have theirs", patience, now.Notes-before.Notes, want-before.Notes)
		}
		harness.Pause(ctx, 50*time.Millisecond)
	}
	return ctx.Err()
}

// verify holds what was answered against what stands on the desks: exactly one note for each 202, at most one for a request
// without an answer, none for anything else. It returns what the simulators saw.
func (s *stage) verify(ctx context.Context, loads ...*load) (map[int]outside, error) {
	first := loads[0].first
	seen, err := s.sims.report(ctx, first)
	if err != nil {
		return nil, err
	}
	accepted := map[int]string{}
	unknown := 0
	for _, l := range loads {
		unknown += l.statuses[0]
		for _, a := range l.accepted {
			accepted[a.ticket] = a.job
		}
	}
	var missing, doubled, stray int
	for ticket := range accepted {
		switch o := seen[ticket]; {
		case o.Notes == 0:
			missing++
		case o.Notes > 1:
			doubled++
		}
	}
	for ticket, o := range seen {
		if accepted[ticket] == "" && o.Notes > 0 {
			stray++
		}
	}
	if missing+doubled > 0 || stray > unknown {
		return nil, errors.Join(errInvalid, fmt.Errorf("of %d webhooks answered 202, %d have no note and %d have several; %d notes belong to none of them",
			len(accepted), missing, doubled, stray))
	}
	return seen, nil
}

// errInvalid marks a measurement that must not be reported.
var errInvalid = errors.New("the measurement is void")
