package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"gopkg.in/natefinch/lumberjack.v2"

	"aiagents/internal/fault"
)

const serviceName = "aiagents"

// logIDs are what every log line of a request or a job carries.
type logIDs struct{ tenant, enhancement, request string }

type logIDsKey struct{}

// withLogIDs puts ids into the context; empty ones keep what is there.
func withLogIDs(ctx context.Context, ids logIDs) context.Context {
	old, _ := ctx.Value(logIDsKey{}).(logIDs)
	keep := func(into *string, from string) {
		if *into == "" {
			*into = from
		}
	}
	keep(&ids.tenant, old.tenant)
	keep(&ids.enhancement, old.enhancement)
	keep(&ids.request, old.request)
	return context.WithValue(ctx, logIDsKey{}, ids)
}

// newLogger writes the fields that operators' tools expect: timestamp, level, message, service, environment, and the ids of
// the context.
func newLogger(w io.Writer, cfg Config) *slog.Logger {
	var level slog.Level
	// validate has accepted the level; a zero value is info.
	_ = level.UnmarshalText([]byte(cfg.Log.Level))
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: renameAttr}
	var h slog.Handler = slog.NewJSONHandler(w, opts)
	if cfg.Log.Format == "text" {
		h = slog.NewTextHandler(w, opts)
	}
	return slog.New(idHandler{h}).With("service", serviceName, "environment", cfg.Environment)
}

// secretKeys are attribute names whose values never reach a log, whoever logs them.
var secretKeys = []string{"authorization", "password", "secret", "token", "api_key", "apikey", "cookie", "prompt", "description"}

func renameAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			a.Key = "timestamp"
		case slog.MessageKey:
			a.Key = "message"
		case slog.LevelKey:
			a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
		}
	}
	for _, key := range secretKeys {
		if strings.EqualFold(a.Key, key) {
			return slog.String(a.Key, "[redacted]")
		}
	}
	return a
}

// idHandler adds the ids of the context to each line.
type idHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h idHandler) Handle(ctx context.Context, r slog.Record) error {
	if ids, ok := ctx.Value(logIDsKey{}).(logIDs); ok {
		for _, a := range []slog.Attr{
			slog.String("tenant_id", ids.tenant), slog.String("enhancement_id", ids.enhancement), slog.String("request_id", ids.request),
		} {
			if a.Value.String() != "" {
				r.AddAttrs(a)
			}
		}
	}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h idHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return idHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h idHandler) WithGroup(name string) slog.Handler { return idHandler{h.Handler.WithGroup(name)} }

// openLog returns where a role's log goes: the given writer, or the file that the configuration names, which rotates by itself.
func openLog(cfg LogConfig, standard io.Writer) (io.Writer, func(), error) {
	if cfg.File == "" {
		return standard, func() {}, nil
	}
	file := &lumberjack.Logger{
		Filename: cfg.File, MaxSize: cfg.MaxMegabytes, MaxBackups: cfg.Backups, MaxAge: int(cfg.MaxAge.Hours() / 24),
	}
	// Opens the file, so that a folder that is missing or closed to us fails the start and not the first line.
	if _, err := file.Write(nil); err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, err, "log.file cannot be written")
	}
	return file, func() { _ = file.Close() }, nil
}

// telemetry is what the parts of a process report to.
type telemetry struct {
	logger   *slog.Logger
	registry *prometheus.Registry
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	outbound *outbound
	tenants  *tenantLabels
}

// newTelemetry exports traces over OTLP when the standard OTEL_EXPORTER_OTLP_ENDPOINT is set; without it spans are made, so
// that ids appear in logs and cross the queue, and go nowhere.
func newTelemetry(ctx context.Context, logger *slog.Logger, cfg TelemetryConfig, version string) (*telemetry, error) {
	t := &telemetry{logger: logger, registry: prometheus.NewRegistry(), tenants: newTenantLabels(cfg)}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "aiagents_build_info", Help: "Always 1; the version is in the label."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	t.registry.MustRegister(info)
	described, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(serviceName), semconv.ServiceVersion(version)),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
	if err != nil {
		return nil, fmt.Errorf("describe this process for traces: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(described)}
	ownSampler := os.Getenv("OTEL_TRACES_SAMPLER") != ""
	switch {
	case exportsTraces(os.Getenv):
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("open trace exporter: %w", err)
		}
		processor := sdktrace.NewBatchSpanProcessor(exporter)
		if !ownSampler {
			tail := newTailSampler(processor, cfg)
			t.registry.MustRegister(tail.dropped)
			processor = tail
			// Every span is recorded, whatever a sender's traceparent says: what becomes of it is decided at the end.
			options = append(options, sdktrace.WithSampler(sdktrace.AlwaysSample()))
		}
		options = append(options, sdktrace.WithSpanProcessor(processor))
	case !ownSampler:
		// Spans that nobody gets need no attributes and no times. Their ids are made all the same.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	t.provider = sdktrace.NewTracerProvider(options...)
	otel.SetTextMapPropagator(propagator)
	t.tracer = t.provider.Tracer(serviceName)
	t.outbound = newOutbound(t.tracer, cfg.PropagateTo, time.Now)
	t.registry.MustRegister(t.outbound)
	return t, nil
}

// exportsTraces reads the standard variables that switch the export on and off.
func exportsTraces(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || strings.EqualFold(getenv("OTEL_TRACES_EXPORTER"), "none") {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// propagator carries a trace in W3C's traceparent header.
var propagator = propagation.TraceContext{}

// traceMetadata puts the current trace into a job's metadata.
func traceMetadata(ctx context.Context) []byte {
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return nil
	}
	raw, err := json.Marshal(carrier)
	if err != nil {
		return nil
	}
	return raw
}

// withJobTrace continues the trace that a job's metadata carries.
func withJobTrace(ctx context.Context, metadata []byte) context.Context {
	carrier := propagation.MapCarrier{}
	// Metadata that is not a flat object simply carries no trace.
	_ = json.Unmarshal(metadata, &carrier)
	return propagator.Extract(ctx, carrier)
}
