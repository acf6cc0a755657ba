package enhancement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/synthesis"
)

// ErrNotConfigured is returned by a source that a tenant has not set up. It is no fault: the note leaves the source out.
var ErrNotConfigured = errors.New("not configured")

// Deps are the module's neighbours. All are required.
type Deps struct {
	DB          Transactor
	Queue       Queue
	Desk        Desk
	Notes       Notes
	Tenants     Tenants
	Similar     Similar
	Articles    Articles
	Systems     Systems
	Documents   Documentation
	Monitoring  Monitoring
	Resolutions Resolutions
	Model       Model
	Logger      *slog.Logger
	Tracer      trace.Tracer
	Clock       func() time.Time
	// TraceMetadata carries the current trace in a job's metadata, so that one trace spans the queue.
	TraceMetadata func(ctx context.Context) []byte
	// Synthetic names the tenant whose runs only prove that the system works: they cost no model call and are in no metric.
	// Empty is none.
	Synthetic string
	// TenantLabel says what metrics call a tenant, and whether they may name any.
	TenantLabel func(tenantID string) (label string, on bool)
}

// Module runs enhancements and keeps their history.
type Module struct {
	deps    Deps
	cfg     Config
	metrics *metrics
	gate    *gate
	// shadow is this module for the synthetic tenant.
	shadow *Module
}

// New builds the module and names every missing dependency at once.
func New(deps Deps, cfg Config) (*Module, error) {
	absent := map[string]bool{
		"DB": deps.DB == nil, "Queue": deps.Queue == nil, "Desk": deps.Desk == nil, "Notes": deps.Notes == nil,
		"Tenants": deps.Tenants == nil, "Similar": deps.Similar == nil, "Articles": deps.Articles == nil,
		"Systems": deps.Systems == nil, "Documents": deps.Documents == nil, "Monitoring": deps.Monitoring == nil, "Resolutions": deps.Resolutions == nil,
		"Model": deps.Model == nil, "Logger": deps.Logger == nil, "Tracer": deps.Tracer == nil,
		"Clock": deps.Clock == nil, "TraceMetadata": deps.TraceMetadata == nil,
		"TenantLabel": deps.TenantLabel == nil,
	}
	var missing []string
	for name, is := range absent {
		if is {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("enhancement: missing %s", strings.Join(missing, ", "))
	}
	m := &Module{deps: deps, cfg: cfg, metrics: newMetrics(deps.TenantLabel), gate: newGate(deps.Clock)}
	shadow := *m
	shadow.deps.Model, shadow.metrics = noModel{}, newMetrics(deps.TenantLabel)
	m.shadow = &shadow
	return m, nil
}

// of is the module that works for a tenant: the same pipeline for all, but for the synthetic one without model and metrics.
func (m *Module) of(tenantID string) *Module {
	if m.shadow != nil && tenantID != "" && tenantID == m.deps.Synthetic {
		return m.shadow
	}
	return m
}

// noModel arranges the evidence by rules.
type noModel struct{}

func (noModel) Synthesise(_ context.Context, b evidence.Bundle, _ synthesis.Options) (synthesis.Result, error) {
	return synthesis.Result{Answer: synthesis.FactsOnly(b, evidence.ReasonNotConfigured)}, nil
}

// Collectors are the module's metrics.
func (m *Module) Collectors() []prometheus.Collector { return m.metrics.collectors() }
