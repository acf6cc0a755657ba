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
	// TenantLabel says what metrics call a tenant, and whether they may name any.
	TenantLabel func(tenantID string) (label string, on bool)
}

// Module runs enhancements and keeps their history.
type Module struct {
	deps    Deps
	cfg     Config
	metrics *metrics
	gate    *gate
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
	return &Module{deps: deps, cfg: cfg, metrics: newMetrics(deps.TenantLabel), gate: newGate(deps.Clock)}, nil
}

// Collectors are the module's metrics.
func (m *Module) Collectors() []prometheus.Collector { return m.metrics.collectors() }
