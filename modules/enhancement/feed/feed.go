package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Deps are the package's neighbours. All are required.
type Deps struct {
	DB       Transactor
	Desk     Desk
	Tickets  Tickets
	Articles Articles
	Hosts    Hosts
	Receiver Receiver
	Tenants  Tenants
	Clock    func() time.Time
}

// Feed brings the desks' data to us. It is safe for concurrent use.
type Feed struct {
	deps    Deps
	cfg     Config
	metrics *metrics
	// leaseTime is how long a feed stays held after its runner has gone silent.
	leaseTime time.Duration
	// sleep waits, or ends with the context's error.
	sleep func(ctx context.Context, d time.Duration) error
}

const defaultLeaseTime = time.Minute

// New builds the feed and names every missing dependency at once.
func New(deps Deps, cfg Config) (*Feed, error) {
	absent := map[string]bool{
		"DB": deps.DB == nil, "Desk": deps.Desk == nil, "Tickets": deps.Tickets == nil, "Articles": deps.Articles == nil, "Hosts": deps.Hosts == nil,
		"Receiver": deps.Receiver == nil, "Tenants": deps.Tenants == nil, "Clock": deps.Clock == nil,
	}
	var missing []string
	for name, is := range absent {
		if is {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("feed: missing %s", strings.Join(missing, ", "))
	}
	return &Feed{deps: deps, cfg: cfg, metrics: newMetrics(), leaseTime: defaultLeaseTime, sleep: sleep}, nil
}

// Collectors are the package's metrics.
func (f *Feed) Collectors() []prometheus.Collector { return f.metrics.collectors() }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// tenantSlice is how long one tenant may hold its place in a walk: what is left is done in the next one, so that a few long
// histories do not keep everybody else waiting.
const tenantSlice = 5 * time.Minute

// walk feeds every tenant, a few at once. One tenant's failure does not stop the others; all failures are returned. The order
// is another one each time: a walk that is cut short must not always miss the same tenants.
func (f *Feed) walk(ctx context.Context, feed func(ctx context.Context, tenantID string) (Result, error)) (map[string]int64, error) {
	ids, err := f.deps.Tenants.IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	outcome := outcomes{changes: map[string]int64{}}
	var group errgroup.Group
	group.SetLimit(f.cfg.ParallelTenants)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			slice, cancel := context.WithTimeout(ctx, tenantSlice)
			defer cancel()
			result, err := feed(slice, id)
			// Held by somebody else, done a moment ago, or out of time: the next walk sees to it.
			if errors.Is(err, errHeld) || slice.Err() != nil && ctx.Err() == nil {
				err = nil
			}
			outcome.add(id, result, err)
			return nil
		})
	}
	// Failures are gathered above; the group only waits.
	_ = group.Wait()
	return outcome.changes, errors.Join(append(outcome.failures, ctx.Err())...)
}

// outcomes gathers what became of each tenant. It is safe for concurrent use.
type outcomes struct {
	mu       sync.Mutex
	changes  map[string]int64
	failures []error
}

func (o *outcomes) add(tenantID string, r Result, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := int64(r.Added + r.Updated + r.Removed + r.Queued); n > 0 {
		o.changes[tenantID] = n
	}
	if err != nil {
		o.failures = append(o.failures, fmt.Errorf("tenant %s: %w", tenantID, err))
	}
}

// listable tells whether the tenant is to be fed: it is enabled, and its system can be listed.
func (f *Feed) listable(ctx context.Context, tenantID string) (Tenant, bool, error) {
	t, err := f.deps.Tenants.Tenant(ctx, tenantID)
	if err != nil {
		return Tenant{}, false, fmt.Errorf("read tenant: %w", err)
	}
	return t, t.CanList && !t.Disabled, nil
}
