package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
)

// Window is how far back an overview looks.
type Window string

// The windows.
const (
	Hour Window = "1h"
	Day  Window = "24h"
	Week Window = "7d"
)

// Windows lists them, the shortest first.
func Windows() []Window { return []Window{Hour, Day, Week} }

// intervals is how many intervals a window's series has.
const intervals = 60

func (w Window) length() (time.Duration, error) {
	switch w {
	case Hour:
		return time.Hour, nil
	case Day:
		return 24 * time.Hour, nil
	case Week:
		return 7 * 24 * time.Hour, nil
	}
	return 0, fault.New(fault.Invalid, "the window cannot be used").WithDetails(map[string]string{"window": "must be 1h, 24h or 7d"})
}

// span is the window that ends now, cut at whole intervals, so that what is cached lines up with what comes next.
func (w Window) span(now time.Time) (since, until time.Time, step time.Duration, err error) {
	length, err := w.length()
	if err != nil {
		return since, until, 0, err
	}
	step = length / intervals
	until = now.UTC().Truncate(step).Add(step)
	return until.Add(-length), until, step, nil
}

// Counts is how many runs of a window ended how.
type Counts struct {
	Received  int `json:"received" doc:"Deliveries of new tickets in the window"`
	Note      int `json:"note" doc:"Notes written by a model from the evidence"`
	FactsOnly int `json:"facts_only" doc:"Notes arranged by rules, without a model"`
	Skipped   int `json:"skipped" doc:"Tickets that get no note, by the tenant's own rules or because they have one"`
	Failed    int `json:"failed" doc:"Runs that ended without a note"`
	Pending   int `json:"pending" doc:"Runs received in the window that are not finished"`
}

// Rates are what the counts and the times amount to. A rate or time of which nothing is known is absent.
type Rates struct {
	// Success is the share of finished runs with a note, 0 to 1; skipped ones do not count.
	Success *float64 `json:"success_rate,omitempty" doc:"Share of finished runs that ended with a note, 0 to 1; skipped ones do not count"`
	// P50Ms and P95Ms are from the webhook to the note.
	P50Ms *int64 `json:"p50_ms,omitempty" doc:"Half of the notes stood within this time of their webhook, in milliseconds, at most 5 % off"`
	P95Ms *int64 `json:"p95_ms,omitempty" doc:"95 % of the notes stood within this time of their webhook, in milliseconds, at most 5 % off"`
}

// Point is one interval of a series.
type Point struct {
	Start time.Time `json:"start"`
	Counts
	Rates
}

// State is how a tenant stands.
type State string

// The states of a tenant.
const (
	OK       State = "ok"
	Paused   State = "paused"   // the desk refused our credentials; notes wait
	Disabled State = "disabled" // by an operator; webhooks are refused
	Failing  State = "failing"  // runs fail or wait for too long
	Unknown  State = "unknown"  // could not be read
)

// TenantLine is one tenant in an overview.
type TenantLine struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Edition string `json:"edition"`
	State   State  `json:"state" enum:"ok,paused,disabled,failing,unknown"`
	// Reason says in plain words why the state is not ok, and Next what to do.
	Reason string `json:"reason,omitempty"`
	Next   string `json:"next,omitempty"`
	Counts Counts `json:"counts"`
	Rates
	// Backlog is all that is pending, whenever it was received.
	Backlog         int        `json:"backlog" doc:"Runs that are not finished, whenever they were received"`
	OldestPendingAt *time.Time `json:"oldest_pending_at,omitempty"`
	LastNoteAt      *time.Time `json:"last_note_at,omitempty" doc:"When the newest note of the window was written"`
}

// Storm is a group of similar tickets of one tenant.
type Storm struct {
	TenantID string `json:"tenant_id"`
	enhancement.StormGroup
}

// Overview is whether it works, and for whom it does not.
type Overview struct {
	Window       Window       `json:"window" enum:"1h,24h,7d"`
	Since        time.Time    `json:"since"`
	Until        time.Time    `json:"until"`
	GeneratedAt  time.Time    `json:"generated_at"`
	Counts       Counts       `json:"counts"`
	Rates        Rates        `json:"rates"`
	Series       []Point      `json:"series" doc:"60 intervals of equal length, the oldest first"`
	Queue        []QueueState `json:"queue"`
	WorkersAlive int          `json:"workers_alive"`
	Storms       []Storm      `json:"storms" doc:"Groups of similar tickets of the last 30 minutes"`
	Tenants      []TenantLine `json:"tenants" doc:"Those in trouble first"`
	// Problems are what cannot be seen from the tenants: no workers, a queue that is not worked, parts that cannot be read.
	Problems []Problem `json:"problems"`
}

// Problem is something that is wrong with the whole, with what to do about it.
type Problem struct {
	What string `json:"what"`
	Next string `json:"next"`
}

// TenantStatus is one tenant over a window.
type TenantStatus struct {
	TenantLine
	Window Window    `json:"window" enum:"1h,24h,7d"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Series []Point   `json:"series"`
	Storms []Storm   `json:"storms"`
}

// overviewCache keeps the newest overview of each window.
type overviewCache struct {
	mu   sync.Mutex
	kept map[Window]Overview
}

func (c *overviewCache) get(w Window, notBefore time.Time) (Overview, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.kept[w]
	return o, ok && !o.GeneratedAt.Before(notBefore)
}

func (c *overviewCache) put(o Overview) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[Window]Overview{}
	}
	c.kept[o.Window] = o
}

// overviewPatience bounds one reading of all tenants.
const overviewPatience = 20 * time.Second

// Overview is at most Config.CacheFor old. Those who ask at once share one reading.
func (s *Service) Overview(ctx context.Context, w Window) (Overview, error) {
	if _, err := w.length(); err != nil {
		return Overview{}, err
	}
	if o, ok := s.overviews.get(w, s.deps.Clock().Add(-s.cfg.CacheFor)); ok {
		return o, nil
	}
	reading := s.flight.DoChan("overview "+string(w), func() (any, error) {
		// The reading outlives whoever asked first, since others may wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), overviewPatience)
		defer cancel()
		o, err := s.readOverview(ctx, w)
		if err == nil {
			s.overviews.put(o)
		}
		return o, err
	})
	select {
	case <-ctx.Done():
		return Overview{}, ctx.Err()
	case r := <-reading:
		if r.Err != nil {
			return Overview{}, fmt.Errorf("read overview: %w", r.Err)
		}
		return r.Val.(Overview), nil
	}
}

func (s *Service) readOverview(ctx context.Context, w Window) (Overview, error) {
	now := s.deps.Clock()
	since, until, step, err := w.span(now)
	if err != nil {
		return Overview{}, err
	}
	list, err := s.deps.Tenants.ListAfter(ctx, "", 0)
	if err != nil {
		return Overview{}, err
	}
	listings := map[string]int{}
	ids := make([]string, len(list))
	for i, l := range list {
		ids[i], listings[l.ID] = l.ID, i
	}
	parts, err := eachTenant(ctx, s, ids, func(ctx context.Context, id string) (tenantPart, error) {
		return s.readTenant(ctx, list[listings[id]], w, now), nil
	})
	if err != nil {
		return Overview{}, err
	}
	o := Overview{
		Window: w, Since: since, Until: until, GeneratedAt: now.UTC(), Tenants: []TenantLine{}, Storms: []Storm{}, Problems: []Problem{},
	}
	total := emptySeries(since, until, step)
	for _, p := range parts {
		o.Tenants = append(o.Tenants, p.line)
		o.Storms = append(o.Storms, p.storms...)
		addIntervals(total, p.series)
	}
	o.Series, o.Counts, o.Rates = points(total)
	slices.SortStableFunc(o.Tenants, func(a, b TenantLine) int { return cmp.Compare(urgency(a.State), urgency(b.State)) })
	slices.SortStableFunc(o.Storms, func(a, b Storm) int { return b.Count - a.Count })
	s.addQueue(ctx, &o)
	return o, nil
}

func urgency(s State) int {
	return slices.Index([]State{Failing, Unknown, Paused, OK, Disabled}, s)
}

// addQueue adds what no tenant knows. A part that cannot be read is a problem among the others.
func (s *Service) addQueue(ctx context.Context, o *Overview) {
	o.Queue = []QueueState{}
	states, err := s.deps.Queue.Queue(ctx)
	if err != nil {
		o.Problems = append(o.Problems, Problem{"The job queue cannot be read.", "Run 'aiagents doctor'."})
		return
	}
	o.Queue = states
	workers, err := s.deps.Queue.Workers(ctx)
	if err != nil {
		o.Problems = append(o.Problems, Problem{"The workers cannot be counted.", "Run 'aiagents doctor'."})
		return
	}
	for _, w := range workers {
		if w.Alive {
			o.WorkersAlive++
		}
	}
	if o.WorkersAlive == 0 {
		o.Problems = append(o.Problems, Problem{
			"No worker is alive: webhooks are taken, and no notes are made.",
			"Start 'aiagents work' or 'aiagents all'; see docs/runbooks/worker-failures.md.",
		})
	}
	for _, q := range states {
		if age := time.Duration(q.OldestAgeSeconds * float64(time.Second)); q.State == "available" && age > queueLate {
			o.Problems = append(o.Problems, Problem{
				fmt.Sprintf("The job that waits longest could have run for %s.", age.Round(time.Second)),
				"See docs/runbooks/high-queue-depth.md.",
			})
		}
	}
}

// queueLate is how long a job may wait for a worker before it is a problem: notes are promised within a minute.
const queueLate = time.Minute
