package enhancement

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"aiagents/internal/fault"
)

// EnhanceArgs are the arguments of the job that makes one note. Queued jobs outlive deploys, so a golden file holds their
// form: ids only, never a ticket's text.
type EnhanceArgs struct {
	TenantID      string    `json:"tenant_id"`
	EnhancementID uuid.UUID `json:"enhancement_id"`
}

// Kind names the job in the queue.
func (EnhanceArgs) Kind() string { return "enhance_ticket" }

// LearnArgs are the arguments of the job that fetches a resolved ticket and keeps its fix.
type LearnArgs struct {
	TenantID      string    `json:"tenant_id"`
	EnhancementID uuid.UUID `json:"enhancement_id"`
}

// Kind names the job in the queue.
func (LearnArgs) Kind() string { return "learn_resolution" }

// The priorities of River, 1 first. Those of a flood come behind everybody else's, whatever they say.
const (
	priorityHigh        = 1
	priorityNormal      = 2
	priorityFloodUrgent = 3
	priorityFlood       = 4
)

// Register adds the module's workers.
func (m *Module) Register(workers *river.Workers) {
	river.AddWorker(workers, &enhanceWorker{module: m})
	river.AddWorker(workers, &learnWorker{module: m})
}

type enhanceWorker struct {
	river.WorkerDefaults[EnhanceArgs]
	module *Module
}

// Timeout ends an attempt; the stages inside have shorter limits of their own.
func (w *enhanceWorker) Timeout(*river.Job[EnhanceArgs]) time.Duration {
	return w.module.cfg.JobTimeout
}

// NextRetry spaces the attempts; see retryDelay.
func (w *enhanceWorker) NextRetry(job *river.Job[EnhanceArgs]) time.Time {
	return w.module.deps.Clock().Add(retryDelay(job.Attempt))
}

// Work runs one attempt and decides what becomes of the job.
func (w *enhanceWorker) Work(ctx context.Context, job *river.Job[EnhanceArgs]) error {
	id := runID{tenant: job.Args.TenantID, id: job.Args.EnhancementID}
	m := w.module.of(id.tenant)
	r, err := m.claim(ctx, id)
	if err != nil {
		return m.unclaimed(err)
	}
	if r == nil {
		return nil
	}
	if r.flood = job.Priority >= priorityFloodUrgent; !r.flood {
		defer m.gate.attend()()
	}
	err = m.run(ctx, r, completer[EnhanceArgs]{job})
	return m.settle(ctx, r, err)
}

type learnWorker struct {
	river.WorkerDefaults[LearnArgs]
	module *Module
}

// Timeout ends an attempt: one read of the desk and one write of ours.
func (w *learnWorker) Timeout(*river.Job[LearnArgs]) time.Duration { return w.module.cfg.GatherTimeout }

// NextRetry spaces the attempts; see retryDelay.
func (w *learnWorker) NextRetry(job *river.Job[LearnArgs]) time.Time {
	return w.module.deps.Clock().Add(retryDelay(job.Attempt))
}

// Work fetches the resolved ticket and keeps it.
func (w *learnWorker) Work(ctx context.Context, job *river.Job[LearnArgs]) error {
	id := runID{tenant: job.Args.TenantID, id: job.Args.EnhancementID}
	r, err := w.module.claim(ctx, id)
	if err != nil {
		return w.module.unclaimed(err)
	}
	if r == nil {
		return nil
	}
	err = w.module.learn(ctx, r, completer[LearnArgs]{job})
	return w.module.settle(ctx, r, err)
}

// retryDelay is 2 s, 4 s and 8 s, then doubling to five minutes: the first three ride out a blip, the later ones an outage,
// and ten attempts together last about a quarter of an hour.
func retryDelay(attempt int) time.Duration {
	const longest = 5 * time.Minute
	if attempt < 1 {
		attempt = 1
	}
	if attempt > 8 {
		return longest
	}
	return min(2*time.Second<<(attempt-1), longest)
}

// ErrFenced stops a worker whose row was claimed by a newer one. It is not a failure: the newer owner finishes the work.
var ErrFenced = errors.New("a newer owner has this enhancement")

// ErrSuspended is the cause of a job's context that gives an attempt up because its worker stood still or was cut off for longer
// than its lease: somebody else may own the run by now.
var ErrSuspended = errors.New("the worker lost its lease")

// suspendedWait is how soon a run that was given up and that nobody has taken over is tried again.
const suspendedWait = time.Second

// unclaimed decides about a job whose row could not even be claimed: the row keeps its state, so River's own retry serves.
func (m *Module) unclaimed(err error) error {
	if fault.Is(err, fault.NotFound) {
		return river.JobCancel(err)
	}
	return err
}

// settle turns the result of an attempt into the outcome of the job, and keeps a failure in our own row first: River's
// rows are deleted after days, ours stay as long as the history.
func (m *Module) settle(ctx context.Context, r *run, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrFenced) {
		return m.fenced()
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		// The process is stopping: River gives the job back without costing an attempt.
		return err
	}
	verdict := m.judge(r, err)
	if errors.Is(context.Cause(ctx), ErrSuspended) {
		verdict = suspendedVerdict
	}
	// The attempt's own context may be over; the verdict is written all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verdictTimeout)
	defer cancel()
	if verdict.final {
		switch ferr := m.fail(ctx, r, verdict); {
		case errors.Is(ferr, ErrFenced):
			return m.fenced()
		case ferr != nil:
			return errors.Join(err, ferr)
		}
		return river.JobCancel(err)
	}
	switch nerr := m.noteTrouble(ctx, r, verdict); {
	case errors.Is(nerr, ErrFenced):
		return m.fenced()
	case nerr != nil:
		return errors.Join(err, nerr)
	}
	m.metrics.retries.WithLabelValues(fault.KindOf(err).String()).Inc()
	if verdict.wait > 0 {
		return river.JobSnooze(verdict.wait)
	}
	return err
}

// fenced ends an attempt without a word to the queue but that it is over: a fault would queue the job again that the newer
// owner is working on, and have the model asked twice.
func (m *Module) fenced() error {
	m.metrics.fenced.Inc()
	return nil
}

var suspendedVerdict = verdict{
	wait: suspendedWait, code: "LEASE_LOST",
	reason: "its worker stood still or was cut off; it is tried again",
}

const verdictTimeout = 10 * time.Second

// verdict is what happens to a run after a failed attempt.
type verdict struct {
	final  bool
	wait   time.Duration
	reason string
	code   string // of the fault, stable
}

// judge decides by the kind of the fault: what can never work fails now, what names a time waits for it without costing an
// attempt, and the rest is tried again until the attempts or the time are used up.
func (m *Module) judge(r *run, err error) verdict {
	v := verdict{reason: plainReason(err), wait: fault.RetryAfterOf(err), code: codeOf(err)}
	age := m.deps.Clock().Sub(r.row.CreatedAt)
	//exhaustive:enforce
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict:
		v.final = true
	case fault.Unauthenticated, fault.Forbidden:
		v.final = v.wait == 0
	case fault.Limited, fault.Unavailable, fault.Internal:
		if v.wait == 0 && r.row.Attempts >= m.cfg.MaxAttempts {
			v.final = true
			v.reason += "; gave up after the last of its attempts"
		}
	}
	if !v.final && age+v.wait > m.cfg.GiveUpAfter {
		v.final = true
		v.reason += "; gave up after waiting too long"
	}
	return v
}

// codeOf is the code of the fault, or the name of its kind where it has none.
func codeOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Code != "" {
		return f.Code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "ATTEMPT_TIMED_OUT"
	}
	return strings.ToUpper(fault.KindOf(err).String())
}

// plainReason is the public message of the fault: the cause may quote a server, so it goes to the log only.
func plainReason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Message != "" {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the attempt ran out of time"
	}
	return "an internal error; the log has the cause under this enhancement's id"
}
