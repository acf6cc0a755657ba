package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"aiagents/internal/harness"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// fault breaks things until ctx ends: the load is then sent, and what was broken has to be whole again on return.
type fault func(ctx context.Context, r *rig, dice *rand.Rand) error

// The model's and the desks' misbehaviour.
var (
	modelMix = []openai.Behaviour{
		{Kind: openai.RateLimited, RetryAfter: time.Second},
		{Kind: openai.ServerError},
		{Kind: openai.Overloaded},
		{Kind: openai.Cut},
		{Kind: openai.HalfAnswer},
		{Kind: openai.Garbage},
		{Kind: openai.HTMLPage},
		{Kind: openai.NotJSON},
		{Kind: openai.Truncated},
		{Kind: openai.Refusal},
		{Kind: openai.EmptyContent},
		{Kind: openai.Invented},
		{Kind: openai.Stall},
	}
	deskMix = []servicedesk.Fault{
		{Kind: servicedesk.ErrorBeforeApply},
		{Kind: servicedesk.ErrorAfterApply},
		{Kind: servicedesk.CutBeforeApply},
		{Kind: servicedesk.CutAfterApply},
		{Kind: servicedesk.TruncateAnswer},
		{Kind: servicedesk.TooManyRequests, RetryAfter: 2 * time.Second},
	}
)

// times spreads n acts over nine tenths of the time in which the load is sent, each at a random moment of its share, so
// that the last one still meets work under way.
func times(ctx context.Context, dice *rand.Rand, n int, over time.Duration, act func(int) error) error {
	if n == 0 {
		return nil
	}
	begin, step := time.Now(), over*9/10/time.Duration(n)
	for i := range n {
		at := begin.Add(time.Duration(i)*step + time.Duration(dice.Int64N(int64(step)+1)))
		harness.Pause(ctx, time.Until(at))
		if ctx.Err() != nil {
			return nil
		}
		if err := act(i); err != nil {
			return err
		}
	}
	return nil
}

// killWorkers kills a random worker n times.
func killWorkers(n int, over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		return times(ctx, dice, n, over, func(int) error { return kill(ctx, r.work[dice.IntN(len(r.work))]) })
	}
}

// killAPI kills a random serve process n times; the sender sends again what was not acknowledged.
func killAPI(n int, over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		return times(ctx, dice, n, over, func(int) error { return kill(ctx, r.serve[dice.IntN(len(r.serve))]) })
	}
}

// kill waits for a process to be there, so that as many die as were asked for.
func kill(ctx context.Context, s *slot) error {
	err := harness.WaitFor(ctx, time.Minute, s.name+" to be killed", s.ready)
	if err != nil && ctx.Err() == nil {
		return err
	}
	s.signal(syscall.SIGKILL)
	return nil
}

// crashPoints arms each point n times, one after the other, and waits until a process has died there.
func crashPoints(n int) fault {
	points := []string{"k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"}
	return func(ctx context.Context, r *rig, _ *rand.Rand) error {
		for range n {
			for _, point := range points {
				if ctx.Err() != nil {
					return nil
				}
				file := filepath.Join(r.points, point)
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					return fmt.Errorf("arm %s: %w", point, err)
				}
				gone := func() bool { _, err := os.Stat(file); return os.IsNotExist(err) }
				if err := harness.WaitFor(ctx, 20*time.Second, "a process at "+point, gone); err != nil {
					_ = os.Remove(file) // nobody came by
					continue
				}
				r.timeline.count("died at " + point)
			}
		}
		return nil
	}
}

// crashPostgres stops the server at once, n times, each time away for up to two seconds.
func crashPostgres(n int, over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		return times(ctx, dice, n, over, func(int) error {
			from := time.Now()
			err := r.pg.crash(ctx, time.Duration(dice.IntN(2000))*time.Millisecond)
			r.timeline.add(window{kind: windowPostgres, from: from, to: time.Now().Add(2 * time.Second)})
			r.timeline.count("Postgres crashed")
			return err
		})
	}
}

// cutLinks closes all connections of a random link n times, or resets what is sent for a moment.
func cutLinks(n int, over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		return times(ctx, dice, n, over, func(i int) error {
			target, kind := r.pg.link, windowPostgres
			switch i % 4 {
			case 2:
				target, kind = r.model.link, windowModel
			case 3:
				target, kind = r.tenants[dice.IntN(len(r.tenants))].link, ""
			}
			from := time.Now()
			var err error
			if dice.IntN(2) == 0 {
				err = target.cut()
			} else {
				err = target.reset(ctx, 100*time.Millisecond)
			}
			if kind != "" {
				r.timeline.add(window{kind: kind, from: from, to: time.Now().Add(time.Second)})
			}
			r.timeline.count("links cut")
			return err
		})
	}
}

// silencePostgres keeps the connections to Postgres open and lets nothing through, once.
func silencePostgres(after, d time.Duration) fault {
	return func(ctx context.Context, r *rig, _ *rand.Rand) error {
		harness.Pause(ctx, after)
		from := time.Now()
		err := r.pg.link.silence(ctx, d)
		r.timeline.add(window{kind: windowPostgres, from: from, to: time.Now().Add(15 * time.Second)})
		r.timeline.count("Postgres silenced")
		return err
	}
}

// breakModel lets a share of the model's answers be wrong in every known way.
func breakModel(rate float64) fault {
	return func(ctx context.Context, r *rig, _ *rand.Rand) error {
		r.model.setFaults(rate, modelMix...)
		<-ctx.Done()
		r.model.setFaults(0)
		return nil
	}
}

// breakDesks lets a share of the note requests fail in every known way, before and after they were applied, late, and
// with a list of notes that lags behind.
func breakDesks(rate float64) fault {
	return func(ctx context.Context, r *rig, _ *rand.Rand) error {
		late := 5 * time.Second
		lag := 2 * time.Second
		if r.opts.quick {
			late, lag = 3*time.Second, 500*time.Millisecond
		}
		mix := append(append([]servicedesk.Fault(nil), deskMix...), servicedesk.Fault{Kind: servicedesk.ApplyLate, Delay: late, Status: 502})
		for _, t := range r.tenants {
			for _, f := range mix {
				f.Operation, f.Probability = servicedesk.NotesAdd, rate/float64(len(mix))
				t.desk.AddFault(f)
			}
			t.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ListLag, Operation: servicedesk.NotesList, Delay: lag})
		}
		<-ctx.Done()
		for _, t := range r.tenants {
			t.desk.ClearFaults()
		}
		return nil
	}
}

// refuseKey lets one desk refuse the API key for a while.
func refuseKey(after, d time.Duration) fault {
	return func(ctx context.Context, r *rig, _ *rand.Rand) error {
		harness.Pause(ctx, after)
		t := r.tenants[0]
		t.desk.SetAPIKey("another key")
		harness.Pause(ctx, d)
		t.desk.SetAPIKey(t.apiKey)
		r.timeline.count("key refused")
		return nil
	}
}

// freezeWorkers stops a random worker for longer than the others wait for it, and lets it go on with what it had in hand.
func freezeWorkers(n int, over time.Duration) fault {
	return func(ctx context.Context, r *rig, dice *rand.Rand) error {
		d := 20 * time.Second
		if r.opts.quick {
			d = 7 * time.Second
		}
		return times(ctx, dice, n, max(over, time.Duration(n)*(d+time.Second)*2), func(int) error {
			s := r.work[dice.IntN(len(r.work))]
			if err := harness.WaitFor(ctx, time.Minute, s.name+" to be frozen", s.ready); err != nil {
				return err
			}
			name, from := s.process(), time.Now()
			s.signal(syscall.SIGSTOP)
			harness.Pause(context.WithoutCancel(ctx), d)
			s.signal(syscall.SIGCONT)
			r.timeline.add(window{kind: windowFreeze, process: name, from: from, to: time.Now()})
			r.timeline.count("work frozen")
			return nil
		})
	}
}

// restartAll replaces every process in order, one after the other, as a rollout does.
func restartAll(ctx context.Context, r *rig, _ *rand.Rand) error {
	for _, s := range r.slots() {
		if ctx.Err() != nil {
			return nil
		}
		if err := s.replace(context.WithoutCancel(ctx), nil); err != nil {
			return err
		}
		r.timeline.count("restarted in order")
	}
	return nil
}
