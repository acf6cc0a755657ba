package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// sampled is a tracer behind a tail sampler, with what came out of it.
type sampled struct {
	tail *tailSampler
	out  *tracetest.SpanRecorder
	trace.Tracer
}

func newSampled(t *testing.T, ratio float64) sampled {
	t.Helper()
	out := tracetest.NewSpanRecorder()
	tail := newTailSampler(out, TelemetryConfig{TraceRatio: ratio, TraceSlow: 30 * time.Second})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tail), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	return sampled{tail: tail, out: out, Tracer: provider.Tracer("test")}
}

func (s sampled) names() (names []string) {
	for _, span := range s.out.Ended() {
		names = append(names, span.Name())
	}
	return names
}

// remote is a context that came in with a request or a job.
func remote(last byte) context.Context {
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: last}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

func TestFailedAndSlowTracesAreKeptWhole(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, c := range map[string]struct {
		fail bool
		took time.Duration
		want []string
	}{
		"quick and well":  {false, time.Second, nil},
		"slow":            {false, 30 * time.Second, []string{"child", "job"}},
		"failed within":   {true, time.Second, []string{"child", "job"}},
		"nearly too slow": {false, 29 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSampled(t, 0)
			ctx, root := s.Start(remote(1), "job", trace.WithTimestamp(start))
			_, child := s.Start(ctx, "child", trace.WithTimestamp(start))
			if c.fail {
				child.SetStatus(codes.Error, "no answer")
			}
			// A long child alone makes no slow trace: its root tells.
			child.End(trace.WithTimestamp(start.Add(time.Minute)))
			require.Empty(t, s.names(), "nothing leaves before the root ends")
			root.End(trace.WithTimestamp(start.Add(c.took)))
			require.Equal(t, c.want, s.names())
		})
	}
}

func TestOrdinaryTracesAreSampledByTraceID(t *testing.T) {
	t.Parallel()
	one, two := newSampled(t, 0.1), newSampled(t, 0.1)
	for i := range 2000 {
		id := trace.TraceID{0: 1, 8: byte(i * 7919 >> 8), 9: byte(i * 7919), 10: byte(i)} // the SDK looks at the second half
		ctx := trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: id, SpanID: trace.SpanID{7: 1}, Remote: true,
		}))
		for _, s := range []sampled{one, two} {
			_, span := s.Start(ctx, fmt.Sprint(i))
			span.End()
		}
	}
	require.Equal(t, one.names(), two.names(), "all processes choose the same traces")
	require.InDelta(t, 200, len(one.names()), 100)
}

func TestASpanThatEndsAfterItsRootFollowsTheDecision(t *testing.T) {
	t.Parallel()
	s := newSampled(t, 0)
	for i, fail := range []bool{true, false} {
		ctx, root := s.Start(remote(byte(i)), "job")
		_, late := s.Start(ctx, "left behind")
		if fail {
			root.SetStatus(codes.Error, "failed")
		}
		root.End()
		late.End()
	}
	require.Equal(t, []string{"job", "left behind"}, s.names())
}

func TestWaitingSpansAreBounded(t *testing.T) {
	t.Parallel()
	s := newSampled(t, 1)
	ctx, root := s.Start(remote(1), "busy job")
	for range maxTraceSpans + 5 {
		_, child := s.Start(ctx, "child")
		child.End()
	}
	require.InDelta(t, 5, testutil.ToFloat64(s.tail.dropped), 0)
	root.End()
	require.Len(t, s.names(), maxTraceSpans+1, "and the root")

	// Traces that never end: the oldest make room.
	for range maxWaitingSpans/maxTraceSpans + 2 {
		open, _ := s.Start(context.Background(), "hangs")
		for range maxTraceSpans {
			_, child := s.Start(open, "child")
			child.End()
		}
	}
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	require.LessOrEqual(t, s.tail.waiting, maxWaitingSpans)
	require.LessOrEqual(t, len(s.tail.oldest), maxWaitingSpans/maxTraceSpans+2)
	require.Greater(t, len(s.out.Ended()), maxTraceSpans+1)
}

func TestDecisionsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newSampled(t, 0)
	for range maxDecisions + 100 {
		_, span := s.Start(context.Background(), "job")
		span.End()
	}
	require.Len(t, s.tail.decided, maxDecisions)
	require.Len(t, s.tail.recent, maxDecisions)
	require.Empty(t, s.tail.traces)
	require.Empty(t, s.tail.oldest)
}

func TestShutdownDecidesWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := newSampled(t, 0)
	ctx, _ := s.Start(remote(1), "job")
	_, child := s.Start(ctx, "child")
	child.SetStatus(codes.Error, "failed")
	child.End()
	require.NoError(t, s.tail.Shutdown(t.Context()))
	require.Equal(t, []string{"child"}, s.names())
}

// collector is an OTLP server that keeps what it is sent.
type collector struct {
	mu   sync.Mutex
	body strings.Builder
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err == nil || errors.Is(err, io.EOF) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.body.Write(raw)
	}
}

func (c *collector) received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.body.String()
}

// The standard variables are the process's own, so the real program is asked.
func TestTheStandardVariablesOfOpenTelemetryWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		exports bool
	}{
		"all traces":                  {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=1"}, true},
		"no ordinary traces":          {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=0"}, false},
		"a sampler of its own":        {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=0", "OTEL_TRACES_SAMPLER=always_on"}, true},
		"a sampler that drops all":    {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=1", "OTEL_TRACES_SAMPLER=always_off"}, false},
		"switched off":                {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=1", "OTEL_SDK_DISABLED=true"}, false},
		"switched off, the other way": {[]string{"AI_AGENTS_TELEMETRY_TRACE_RATIO=1", "OTEL_TRACES_EXPORTER=none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := &collector{}
			srv := httptest.NewServer(got)
			t.Cleanup(srv.Close)
			h := newHarness(t, withRole("work"))
			cmd := h.spawn("serve", append([]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=" + srv.URL, "OTEL_SERVICE_NAME=night-desk", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=harbour",
				"OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_TRACES_SAMPLER=", "AI_AGENTS_HTTP_ADDR=" + freeAddress(t),
			}, c.environ...)...)
			url := "http://" + addressOf(cmd, "AI_AGENTS_HTTP_ADDR") + "/webhook/servicedesk"
			require.Eventually(t, func() bool {
				a, err := h.try(http.MethodPost, url, []byte(`{}`), "Content-Type", "application/json")
				return err == nil && a.status == http.StatusUnauthorized
			}, patience, 20*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(interrupt))
			require.NoError(t, cmd.Wait(), "an orderly stop flushes")
			if !c.exports {
				require.Empty(t, got.received())
				return
			}
			require.Contains(t, got.received(), "night-desk")
			require.Contains(t, got.received(), "harbour")
			require.Contains(t, got.received(), "POST /webhook/servicedesk")
		})
	}
}
