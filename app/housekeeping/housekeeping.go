package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"aiagents/db"
	"aiagents/internal/fault"
)

// Rows counts what a run did, by tenant; the empty name is what belongs to none.
type Rows = map[string]int64

// Task is one piece of periodic work.
type Task struct {
	// Name is the kind of its job, and its name for operators.
	Name string
	// Does says in a line what it is for.
	Does string
	// Every is how often it runs; 0 switches it off.
	Every time.Duration
	// Limit ends a run. What it did not reach is left to the next one.
	Limit time.Duration
	// DryRun is set for tasks that can tell beforehand what they would remove.
	DryRun bool
	// Run does the work, or with dryRun counts what it would remove and changes nothing.
	Run func(ctx context.Context, dryRun bool) (Rows, error)
}

// The results of a run.
const (
	ResultRunning = "running"
	ResultOK      = "ok"
	ResultFailed  = "failed"
	// ResultStopped is a run that ended with its process; the next one goes on from there.
	ResultStopped = "stopped"
)

// Run is one run of a task.
type Run struct {
	Task       string     `json:"task"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Result     string     `json:"result"`
	Rows       int64      `json:"rows"`
	Error      string     `json:"error,omitempty"`
	DryRun     bool       `json:"dry_run"`
	// ByTenant splits Rows. It is known to the caller of Module.Run only; nothing about a tenant is kept.
	ByTenant Rows `json:"by_tenant,omitempty" db:"-"`
}

// Status is a task with its last run, dry runs left out.
type Status struct {
	Task string `json:"task"`
	Does string `json:"does"`
	// EverySeconds is 0 for a task that is switched off.
	EverySeconds float64 `json:"every_seconds"`
	DryRun       bool    `json:"can_dry_run"`
	// Running tells when the run under way began.
	Running *time.Time `json:"running_since"`
	// LastResult is ok, failed or stopped, and empty for a task that never ended.
	LastResult     string     `json:"last_result"`
	LastStartedAt  *time.Time `json:"last_started_at"`
	LastFinishedAt *time.Time `json:"last_finished_at"`
	LastSuccessAt  *time.Time `json:"last_success_at"`
	// LastSeconds is how long the last run took.
	LastSeconds float64    `json:"last_seconds"`
	LastRows    int64      `json:"last_rows"`
	LastError   string     `json:"last_error,omitempty"`
	NextDueAt   *time.Time `json:"next_due_at"`
	// Overdue is set when no run has ended well for two intervals and five minutes.
	Overdue bool `json:"overdue"`
}

// Module knows the tasks. It is safe for concurrent use once all tasks are added.
type Module struct {
	store store
	tasks []entry
	// life ends the runs of a process that stops.
	life context.Context
	end  context.CancelCauseFunc
	seen seen
}

type entry struct {
	Task
	args river.JobArgs
}

// New returns a module without tasks.
func New(database *db.DB) *Module {
	life, end := context.WithCancelCause(context.Background())
	return &Module{store: store{database}, life: life, end: end}
}

// errStopping ends the runs of a process that stops.
var errStopping = errors.New("the process is stopping")

// Stop ends all runs under way, and lets none begin.
func (m *Module) Stop() { m.end(errStopping) }

// Names lists all tasks.
func (m *Module) Names() []string {
	names := make([]string, len(m.tasks))
	for i, t := range m.tasks {
		names[i] = t.Name
	}
	return names
}

// Run runs a task now, beside its schedule. The error is of the database or of the name; how the task itself ended is in the
// result.
func (m *Module) Run(ctx context.Context, name string, dryRun bool) (Run, error) {
	i := slices.IndexFunc(m.tasks, func(t entry) bool { return t.Name == name })
	if i < 0 {
		return Run{}, fault.Newf(fault.NotFound, "there is no task %q: the tasks are %s", name, strings.Join(m.Names(), ", "))
	}
	if t := m.tasks[i].Task; dryRun && !t.DryRun {
		return Run{}, fault.Newf(fault.Invalid, "%s has no dry run: it removes nothing by age", t.Name)
	}
	run, _, err := m.run(ctx, m.tasks[i].Task, dryRun)
	return run, err
}

// run keeps the record of one run. cause is how the task failed; err is a fault of the record itself.
func (m *Module) run(ctx context.Context, t Task, dryRun bool) (run Run, cause, err error) {
	id, run, err := m.store.begin(ctx, t, dryRun)
	if err != nil {
		return run, nil, err
	}
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.life, func() { cancel(errStopping) })()
	limited, done := context.WithTimeout(working, t.Limit)
	defer done()
	run.ByTenant, cause = t.Run(limited, dryRun)
	for _, n := range run.ByTenant {
		run.Rows += n
	}
	switch {
	case cause == nil:
		run.Result = ResultOK
	case working.Err() != nil:
		run.Result, run.Error = ResultStopped, "stopped with its process; the next run goes on from there"
	default:
		run.Result, run.Error = ResultFailed, plain(cause)
	}
	recording, recorded := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer recorded()
	run.FinishedAt, err = m.store.finish(recording, id, run)
	return run, cause, err
}

// recordTimeout bounds the last write of a run whose caller has gone.
const recordTimeout = 5 * time.Second

// slack is how much later than two intervals a task may end well before it counts as overdue.
const slack = 5 * time.Minute

// List returns every task with its last run.
func (m *Module) List(ctx context.Context) ([]Status, error) {
	records, now, err := m.store.last(ctx, m.Names())
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(m.tasks))
	for i, t := range m.tasks {
		r := records[t.Name]
		s := Status{
			Task: t.Name, Does: t.Does, EverySeconds: t.Every.Seconds(), DryRun: t.DryRun, Running: r.RunningSince,
			LastResult: r.Result, LastStartedAt: r.StartedAt, LastFinishedAt: r.FinishedAt, LastSuccessAt: r.SuccessAt,
			LastRows: r.Rows, LastError: r.Error,
		}
		if r.FinishedAt != nil {
			s.LastSeconds = r.FinishedAt.Sub(*r.StartedAt).Seconds()
		}
		if t.Every > 0 {
			if r.StartedAt != nil {
				next := r.StartedAt.Add(t.Every)
				s.NextDueAt = &next
			}
			// A task that never ended well counts from the first run of any.
			since := r.SuccessAt
			if since == nil {
				since = r.FirstAt
			}
			s.Overdue = since != nil && now.Sub(*since) > 2*t.Every+slack
		}
		all[i] = s
	}
	return all, nil
}

// Runs returns the latest runs of a task, the newest first, dry runs included.
func (m *Module) Runs(ctx context.Context, name string, limit int) ([]Run, error) {
	return m.store.runs(ctx, name, limit)
}

// maxReasons is how many tenants' failures a record names.
const maxReasons = 5

// plain words an error for operators: the acts that wrap a fault, and its public message. A cause may quote data, so it goes
// to the log only.
func plain(err error) string {
	var reasons []string
	for _, e := range split(err) {
		reasons = append(reasons, plainOne(e))
	}
	if more := len(reasons) - maxReasons; more > 0 {
		reasons = append(reasons[:maxReasons], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(reasons, "; ")
}

func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, split(e)...)
	}
	return all
}

func plainOne(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		if acts, ok := strings.CutSuffix(err.Error(), f.Error()); ok {
			return acts + f.Message
		}
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "ran out of its time; the next run goes on"
	}
	return "an internal error; the log of the worker has the cause"
}
