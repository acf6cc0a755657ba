package notifier

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"aiagents/internal/egress"
	"aiagents/internal/fault"
)

// maxAnswer caps a desk's answer: a page of 100 notes of some size.
const maxAnswer = 16 << 20

// Module talks to all tenants' desks. It is safe for concurrent use. It keeps no goroutine: one that
// refreshes an access token ends by itself within its lease.
type Module struct {
	deps    Deps
	config  Config
	clock   func() time.Time
	store   store
	metrics *metrics
	reads   *http.Client
	writes  *http.Client // single use: for the note's request
	hooks   hooks

	mu    sync.Mutex
	links map[string]*link // by tenant

	lineage lineage
}

// hooks let tests stop the posting protocol at its crash points.
type hooks struct {
	intentMade func()
	answered   func()
}

// New builds the module, or names every missing dependency and every fault of the configuration at once.
func New(d Deps, c Config) (*Module, error) {
	if names := d.missing(); names != "" {
		return nil, fmt.Errorf("notifier: missing dependencies: %s", names)
	}
	if faults := c.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("notifier: %s", strings.Join(faults, "; "))
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.TenantLabel == nil {
		d.TenantLabel = func(string) (string, bool) { return "", false }
	}
	nothing := func() {}
	return &Module{
		deps: d, config: c, clock: d.Clock, store: store{d.DB}, metrics: newMetrics(),
		reads:  d.Egress.Client(egress.Options{Peer: "desk", Timeout: c.ReadTimeout, MaxResponse: maxAnswer}),
		writes: d.Egress.Client(egress.Options{Peer: "desk", Timeout: c.PostTimeout, MaxResponse: maxAnswer, SingleUse: true}),
		hooks:  hooks{nothing, nothing}, links: map[string]*link{},
	}, nil
}

// Close drops idle connections to desks.
func (m *Module) Close() {
	m.reads.CloseIdleConnections()
	m.writes.CloseIdleConnections()
}

// GetRequest reads one ticket. On the MSP editions a ticket of another account is refused before anything of it is used.
// Edition generic has no such call and gives an Invalid fault with code DESK_UNSUPPORTED.
func (m *Module) GetRequest(ctx context.Context, tenantID, ticketID string) (Ticket, error) {
	return with(ctx, m, tenantID, func(l *link) (Ticket, error) {
		return l.ownTicket(ctx, ticketID)
	})
}

// ListRequests reads one page of up to 100 tickets, oldest first. Rows of a list are brief: GetRequest has the rest.
func (m *Module) ListRequests(ctx context.Context, tenantID string, q TicketQuery) (TicketPage, error) {
	if !q.CreatedSince.IsZero() && !q.UpdatedSince.IsZero() {
		return TicketPage{}, fault.New(fault.Invalid, "give one of CreatedSince and UpdatedSince")
	}
	return with(ctx, m, tenantID, func(l *link) (TicketPage, error) {
		page, err := l.desk.tickets(ctx, q)
		if err != nil {
			return TicketPage{}, err
		}
		kept := page.Tickets[:0]
		for _, t := range page.Tickets {
			if l.owns(t.AccountID) {
				kept = append(kept, t)
			}
		}
		page.Hidden = len(page.Tickets) - len(kept)
		page.Tickets = kept
		return page, nil
	})
}

// ListSolutions reads one page of approved, unexpired solutions with their text. start is 1 for the first page. On the
// MSP editions those of other accounts are left out, and of those without an account all that are not public.
func (m *Module) ListSolutions(ctx context.Context, tenantID string, start int) (SolutionPage, error) {
	return with(ctx, m, tenantID, func(l *link) (SolutionPage, error) {
		return l.desk.solutions(ctx, start)
	})
}

// ListAssets reads one page of up to 100 assets; start is 1 for the first page. On the MSP editions those of other accounts are
// left out. Edition generic has no such call and gives an Invalid fault with code DESK_UNSUPPORTED.
func (m *Module) ListAssets(ctx context.Context, tenantID string, start int) (AssetPage, error) {
	return with(ctx, m, tenantID, func(l *link) (AssetPage, error) {
		return l.desk.assets(ctx, start)
	})
}

// GetResolution reads how a ticket was solved, as text; it is empty while the ticket has no resolution.
func (m *Module) GetResolution(ctx context.Context, tenantID, ticketID string) (string, error) {
	return with(ctx, m, tenantID, func(l *link) (string, error) {
		if err := l.checkOwner(ctx, ticketID); err != nil {
			return "", err
		}
		return l.desk.resolution(ctx, ticketID)
	})
}

// ListNotes reads all notes of a ticket with their bodies.
func (m *Module) ListNotes(ctx context.Context, tenantID, ticketID string) ([]Note, error) {
	return with(ctx, m, tenantID, func(l *link) ([]Note, error) {
		if err := l.checkOwner(ctx, ticketID); err != nil {
			return nil, err
		}
		return l.desk.notes(ctx, ticketID, time.Time{})
	})
}

// Probe checks that address, credentials and rights to read work, without writing anything. It also asks when the
// connection is paused, and resumes it when all is well.
func (m *Module) Probe(ctx context.Context, tenantID string) error {
	l, err := m.link(ctx, tenantID)
	if err != nil {
		return err
	}
	if err := l.desk.probe(ctx); err != nil {
		return asFault(err)
	}
	return l.resume(ctx)
}

// ConnectionState is what all workers share about a tenant's desk.
type ConnectionState struct {
	Paused      bool
	Since       time.Time
	Reason      string
	NextProbeAt time.Time
}

// ConnectionState reads whether the tenant's connection is paused, and why.
func (m *Module) ConnectionState(ctx context.Context, tenantID string) (ConnectionState, error) {
	row, err := m.store.connection(ctx, tenantID)
	if err != nil || row.PausedAt == nil {
		return ConnectionState{}, err
	}
	s := ConnectionState{Paused: true, Since: *row.PausedAt, Reason: row.PauseReason}
	if row.NextProbeAt != nil {
		s.NextProbeAt = *row.NextProbeAt
	}
	return s, nil
}

// Unsettled is how many of a tenant's notes nobody knows to stand or not to stand, although their request must have taken
// effect by now, and the age of the oldest. They are of the last day: after that the sweep gives them up.
type Unsettled struct {
	Notes  int
	Oldest time.Duration
}

// Unsettled counts the tenant's notes of unknown fate.
func (m *Module) Unsettled(ctx context.Context, tenantID string) (Unsettled, error) {
	return m.store.countUnsettled(ctx, tenantID, m.config.QuietTime())
}

// Resume ends a pause at once: for when the tenant's credentials have been changed.
func (m *Module) Resume(ctx context.Context, tenantID string) error {
	m.mu.Lock()
	l := m.links[tenantID]
	m.mu.Unlock()
	if l != nil {
		return l.resume(ctx)
	}
	return m.store.resume(ctx, tenantID)
}

// with runs one read on a tenant's link and turns its error into a fault.
func with[T any](ctx context.Context, m *Module, tenantID string, read func(*link) (T, error)) (T, error) {
	var zero T
	l, err := m.connect(ctx, tenantID)
	if err != nil {
		return zero, asFault(err)
	}
	value, err := read(l)
	if err != nil {
		return zero, l.finish(ctx, err)
	}
	return value, nil
}
