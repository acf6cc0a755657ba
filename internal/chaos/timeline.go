package main

import (
	"slices"
	"sync"
	"time"
)

// The kinds of windows.
const (
	windowKill     = "kill"     // a process died
	windowFreeze   = "freeze"   // a process was stopped and went on later
	windowPostgres = "postgres" // Postgres was away or could not be reached
	windowModel    = "model"    // the link to the model was cut
)

// window is a time in which something was broken on purpose. The checker may excuse a model call that was paid twice
// only by a window of the right kind and process.
type window struct {
	kind     string
	process  string
	from, to time.Time
}

// timeline is what the harness did, by time.
type timeline struct {
	mu       sync.Mutex
	windows  []window
	counts   map[string]int
	problems []string
	jobs     []interruption
}

// interruption is a run that was being worked on when its worker died.
type interruption struct {
	tenant, id string
	at         time.Time
}

func (t *timeline) add(w window) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.windows = append(t.windows, w)
}

// count counts an act under a name that the report shows.
func (t *timeline) count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[name]++
}

// problem records what must not happen while a scenario runs.
func (t *timeline) problem(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, text)
}

func (t *timeline) interrupted(jobs []interruption) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs = append(t.jobs, jobs...)
}

// take returns what was recorded since the last take.
func (t *timeline) take() *timeline {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &timeline{windows: t.windows, counts: t.counts, problems: t.problems, jobs: t.jobs}
	t.windows, t.counts, t.problems, t.jobs = nil, nil, nil, nil
	return out
}

// struck reports whether a window of the kind touches the time from..to; an empty process means any.
func (t *timeline) struck(kind, process string, from, to time.Time) bool {
	return slices.ContainsFunc(t.windows, func(w window) bool {
		return w.kind == kind && (process == "" || w.process == process) && !w.from.After(to) && !w.to.Before(from)
	})
}
