package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The bounds of what a tail sampler holds. A run has some twenty spans, a span takes about a kilobyte.
const (
	maxTraceSpans   = 500
	maxWaitingSpans = 20_000
	maxDecisions    = 4096
)

// tailSampler holds the spans of a trace until its part in this process is over, and only then decides: errors and slow runs
// are exported, of the others a share by trace id, so that all processes choose the same ones. It is a SpanProcessor in front
// of the one that exports.
//
// Memory is bounded: beyond maxWaitingSpans the oldest trace is decided early, and a trace keeps its first maxTraceSpans.
type tailSampler struct {
	next    sdktrace.SpanProcessor
	share   sdktrace.Sampler
	slow    time.Duration
	dropped prometheus.Counter

	mu      sync.Mutex
	traces  map[trace.TraceID]*waitingTrace
	oldest  []trace.TraceID // in order of arrival; may name traces that are decided by now
	waiting int             // spans in traces
	// decided remembers what became of traces, for spans that end after their root: a source that was left behind.
	decided map[trace.TraceID]bool
	recent  []trace.TraceID
}

// waitingTrace is a trace some of whose roots in this process are still open.
type waitingTrace struct {
	open  int
	keep  bool
	spans []sdktrace.ReadOnlySpan
}

func newTailSampler(next sdktrace.SpanProcessor, cfg TelemetryConfig) *tailSampler {
	return &tailSampler{
		next: next, share: sdktrace.TraceIDRatioBased(cfg.TraceRatio), slow: cfg.TraceSlow,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aiagents_trace_spans_dropped_total", Help: "Spans lost because a trace had too many of them.",
		}),
		traces: map[trace.TraceID]*waitingTrace{}, decided: map[trace.TraceID]bool{},
	}
}

// isRoot tells where a trace enters this process: it began here, or came in with a request or a job.
func isRoot(parent trace.SpanContext) bool { return !parent.IsValid() || parent.IsRemote() }

// OnStart implements sdktrace.SpanProcessor.
func (t *tailSampler) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if !isRoot(s.Parent()) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := s.SpanContext().TraceID()
	w, ok := t.traces[id]
	if !ok {
		w = &waitingTrace{}
		t.traces[id] = w
		t.oldest = append(t.oldest, id)
	}
	w.open++
}

// OnEnd implements sdktrace.SpanProcessor.
func (t *tailSampler) OnEnd(s sdktrace.ReadOnlySpan) {
	for _, ready := range t.take(s) {
		t.next.OnEnd(ready)
	}
}

// take files a span and returns what is to be exported now.
func (t *tailSampler) take(s sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := s.SpanContext().TraceID()
	w, ok := t.traces[id]
	if !ok {
		if t.decided[id] {
			return []sdktrace.ReadOnlySpan{s}
		}
		return nil
	}
	root := isRoot(s.Parent())
	w.keep = w.keep || s.Status().Code == codes.Error || root && s.EndTime().Sub(s.StartTime()) >= t.slow
	// The root says what the trace was about, so it is kept however many came before it.
	if len(w.spans) < maxTraceSpans || root {
		w.spans = append(w.spans, s)
		t.waiting++
	} else {
		t.dropped.Inc()
	}
	if root {
		w.open--
	}
	switch {
	case w.open == 0:
		return t.decide(id)
	case t.waiting > maxWaitingSpans:
		return t.decide(t.eldest())
	}
	return nil
}

// eldest is the trace that has waited longest. There is one whenever a span waits.
func (t *tailSampler) eldest() trace.TraceID {
	for t.traces[t.oldest[0]] == nil {
		t.oldest = t.oldest[1:]
	}
	return t.oldest[0]
}

// decide ends the wait of a trace and returns its spans if they are to be exported.
func (t *tailSampler) decide(id trace.TraceID) []sdktrace.ReadOnlySpan {
	w := t.traces[id]
	delete(t.traces, id)
	t.waiting -= len(w.spans)
	for len(t.oldest) > 0 && t.traces[t.oldest[0]] == nil {
		t.oldest = t.oldest[1:]
	}
	keep := w.keep || t.share.ShouldSample(sdktrace.SamplingParameters{TraceID: id}).Decision == sdktrace.RecordAndSample
	if _, again := t.decided[id]; !again {
		t.recent = append(t.recent, id)
	}
	t.decided[id] = keep
	if len(t.recent) > maxDecisions {
		delete(t.decided, t.recent[0])
		t.recent = t.recent[1:]
	}
	if !keep {
		return nil
	}
	return w.spans
}

// Shutdown implements sdktrace.SpanProcessor. What still waits is decided as it stands.
func (t *tailSampler) Shutdown(ctx context.Context) error {
	t.mu.Lock()
	var left []sdktrace.ReadOnlySpan
	for id := range t.traces {
		left = append(left, t.decide(id)...)
	}
	t.mu.Unlock()
	for _, s := range left {
		t.next.OnEnd(s)
	}
	return t.next.Shutdown(ctx)
}

// ForceFlush implements sdktrace.SpanProcessor. Open traces wait on: half of one would decide for all of it.
func (t *tailSampler) ForceFlush(ctx context.Context) error { return t.next.ForceFlush(ctx) }
