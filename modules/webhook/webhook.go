package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Deps are the module's neighbours. All are required.
type Deps struct {
	DB           Transactor
	Tenants      Tenants
	Enhancements Enhancements
	Resolutions  Resolutions
	Logger       *slog.Logger
	Clock        func() time.Time
	// TraceMetadata carries a request's trace to its job.
	TraceMetadata func(ctx context.Context) []byte
	// TenantLabel says what metrics call a tenant, and whether they may name any.
	TenantLabel func(tenantID string) (label string, on bool)
}

// Module takes webhooks.
type Module struct {
	deps      Deps
	cfg       Config
	addresses *limiter
	tenants   *limiter
	metrics   *metrics
	intake    *intake
}

// New builds the module and names every missing dependency at once.
func New(deps Deps, cfg Config) (*Module, error) {
	var missing []string
	for name, absent := range map[string]bool{
		"DB": deps.DB == nil, "Tenants": deps.Tenants == nil, "Enhancements": deps.Enhancements == nil,
		"Resolutions": deps.Resolutions == nil, "Logger": deps.Logger == nil, "Clock": deps.Clock == nil,
		"TraceMetadata": deps.TraceMetadata == nil,
		"TenantLabel":   deps.TenantLabel == nil,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("webhook: missing %s", strings.Join(missing, ", "))
	}
	m := &Module{
		deps: deps, cfg: cfg,
		addresses: newLimiter(cfg.AddressPerSecond, cfg.AddressBurst),
		tenants:   newLimiter(cfg.TenantPerSecond, cfg.TenantBurst),
		metrics:   newMetrics(),
	}
	m.intake = &intake{record: m.recordAll, lanes: map[string]*lane{}}
	return m, nil
}

// Collectors are the module's metrics.
func (m *Module) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.metrics.answers, m.metrics.duration, m.metrics.tenants}
}
