package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

// Deps are the neighbours. All are required.
type Deps struct {
	DB             Transactor
	Tenants        Tenants
	TenantChanges  TenantChanges
	TenantSecrets  TenantSecrets
	Audit          AuditLog
	Runs           Runs
	Previews       Previews
	Figures        Figures
	Desks          Desks
	ConnectionTest ConnectionTest
	Queue          Queue
	Housekeeping   Housekeeping
	Clock          func() time.Time
}

// Config bounds what looking costs.
type Config struct {
	// Parallel is how many tenants are asked at a time.
	Parallel int
	// CacheFor is how long an overview is shown before it is read again.
	CacheFor time.Duration
}

// DefaultConfig asks four tenants at a time and keeps an overview for 5 s.
func DefaultConfig() Config { return Config{Parallel: 4, CacheFor: 5 * time.Second} }

// Service is the face of the package. It is safe for concurrent use.
type Service struct {
	deps      Deps
	cfg       Config
	overviews overviewCache
	flight    singleflight.Group
}

// New builds the service and names every missing dependency at once.
func New(deps Deps, cfg Config) (*Service, error) {
	var missing []string
	for name, absent := range map[string]bool{
		"DB": deps.DB == nil, "Tenants": deps.Tenants == nil, "TenantChanges": deps.TenantChanges == nil,
		"TenantSecrets": deps.TenantSecrets == nil, "Audit": deps.Audit == nil, "Runs": deps.Runs == nil,
		"Previews": deps.Previews == nil, "Figures": deps.Figures == nil, "Desks": deps.Desks == nil,
		"ConnectionTest": deps.ConnectionTest == nil, "Queue": deps.Queue == nil, "Housekeeping": deps.Housekeeping == nil, "Clock": deps.Clock == nil,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("operator: missing %s", strings.Join(missing, ", "))
	}
	if cfg.Parallel < 1 {
		cfg.Parallel = 1
	}
	return &Service{deps: deps, cfg: cfg}, nil
}

// eachTenant asks for every tenant, a few at a time, and keeps the order. The first fault ends it; ask returns none where one
// tenant's trouble must not hide the others.
func eachTenant[T any](ctx context.Context, s *Service, ids []string, ask func(ctx context.Context, id string) (T, error)) ([]T, error) {
	answers := make([]T, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.cfg.Parallel)
	for i, id := range ids {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			answers[i], err = ask(ctx, id)
			return err
		})
	}
	return answers, group.Wait()
}
