package feed

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// now is the time of these tests, by our clock and by the desk's.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// bundle is a feed on a real database, with neighbours that do as they are told.
type bundle struct {
	*Feed
	db       *dbtest.Database
	desk     *fakeDesk
	store    *fakeStore
	receiver *fakeReceiver
	hosts    *fakeHosts
	tenants  fakeTenants
	waits    []time.Duration
}

func setup(t *testing.T, change ...func(*Config)) *bundle {
	t.Helper()
	b := &bundle{
		db: dbtest.New(t), desk: &fakeDesk{tickets: map[string]deskTicket{}, pageSize: 3}, store: newFakeStore(), receiver: &fakeReceiver{}, hosts: &fakeHosts{kept: map[string]Asset{}},
		tenants: fakeTenants{"acme": {OnboardedAt: ago(1000 * time.Hour), CanList: true}},
	}
	cfg := DefaultConfig()
	for _, c := range change {
		c(&cfg)
	}
	f, err := New(Deps{
		DB: b.db, Desk: b.desk, Tickets: b.store, Articles: b.store, Hosts: b.hosts, Receiver: b.receiver, Tenants: b.tenants,
		Clock: func() time.Time { return now },
	}, cfg)
	require.NoError(t, err)
	f.sleep = func(ctx context.Context, d time.Duration) error {
		b.waits = append(b.waits, d)
		return ctx.Err()
	}
	b.Feed = f
	return b
}

func (b *bundle) state(t *testing.T, kind string) State {
	t.Helper()
	states, err := b.States(t.Context(), "acme")
	require.NoError(t, err)
	for _, s := range states {
		if s.Kind == kind {
			return s
		}
	}
	t.Fatalf("no state of %s", kind)
	return State{}
}

// exec runs a statement as the app, for acme.
func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	require.NoError(t, b.db.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}))
}

type fakeTenants map[string]Tenant

func (f fakeTenants) IDs(context.Context) ([]string, error) {
	var ids []string
	for id := range f {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

func (f fakeTenants) Tenant(_ context.Context, id string) (Tenant, error) {
	t, ok := f[id]
	if !ok {
		return Tenant{}, fault.New(fault.NotFound, "no such tenant")
	}
	return t, nil
}

type deskTicket struct {
	Brief
	resolution string
	foreign    bool
}

// fakeDesk lists in ascending order, by position or time, as ServiceDesk Plus does. It is safe for concurrent use.
type fakeDesk struct {
	mu        sync.Mutex
	tickets   map[string]deskTicket
	solutions []Solution
	assets    []Asset
	pageSize  int
	// faults are given out, one a call of a list, before anything else; nil lets the call pass.
	faults []error
	// broken fails every call for a tenant.
	broken string
	// listed is called after each page, outside of the lock.
	listed  func(page int)
	lists   int
	fetches []string
	queries []TicketQuery
	gone    map[string]bool
	// deaf ignores the time that a query asks for, as old builds do.
	deaf bool
}

func (f *fakeDesk) add(tickets ...deskTicket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range tickets {
		f.tickets[t.ID] = t
	}
}

// solved is a ticket with a resolution, last changed d ago.
func solved(id string, d time.Duration) deskTicket {
	return deskTicket{
		Brief:      Brief{ID: id, Subject: "Subject " + id, Status: "Closed", CreatedAt: ago(d + time.Hour), UpdatedAt: ago(d)},
		resolution: "Restarted the spooler of " + id,
	}
}

// opened is an open ticket, created d ago.
func opened(id string, d time.Duration) deskTicket {
	return deskTicket{Brief: Brief{ID: id, Subject: "Subject " + id, Status: "Open", Priority: "High", CreatedAt: ago(d), UpdatedAt: ago(d)}}
}

func (f *fakeDesk) fault(tenantID string) error {
	if f.broken == tenantID {
		return fault.New(fault.Unavailable, "the service desk does not answer as it should")
	}
	if len(f.faults) == 0 {
		return nil
	}
	err := f.faults[0]
	f.faults = f.faults[1:]
	return err
}

func (f *fakeDesk) ListTickets(_ context.Context, tenantID string, q TicketQuery) (TicketPage, error) {
	f.mu.Lock()
	f.lists++
	call := f.lists
	f.queries = append(f.queries, q)
	if err := f.fault(tenantID); err != nil {
		f.mu.Unlock()
		return TicketPage{}, err
	}
	since, of := q.CreatedSince, byCreation.of
	if !q.UpdatedSince.IsZero() {
		since, of = q.UpdatedSince, byUpdate.of
	}
	var rows []deskTicket
	for _, t := range f.tickets {
		if f.deaf || !of(t.Brief).Before(since) {
			rows = append(rows, t)
		}
	}
	slices.SortFunc(rows, func(a, b deskTicket) int {
		return cmp.Or(of(a.Brief).Compare(of(b.Brief)), cmp.Compare(a.ID, b.ID))
	})
	var page TicketPage
	from := min(max(q.Start, 1)-1, len(rows))
	to := min(from+f.pageSize, len(rows))
	for _, t := range rows[from:to] {
		if !t.foreign {
			page.Tickets = append(page.Tickets, t.Brief)
		}
	}
	if to < len(rows) {
		page.Next = to + 1
	}
	f.mu.Unlock()
	if f.listed != nil {
		f.listed(call)
	}
	return page, nil
}

func (f *fakeDesk) Ticket(_ context.Context, _, id string) (Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetches = append(f.fetches, id)
	if f.gone[id] {
		return Ticket{}, fault.New(fault.NotFound, "gone")
	}
	t := f.tickets[id]
	if t.foreign {
		return Ticket{}, fault.New(fault.Forbidden, "another account").WithCode("FOREIGN_ACCOUNT")
	}
	return Ticket{ID: id, Subject: t.Subject, Description: "Printing fails", Resolution: t.resolution, ResolvedAt: t.ResolvedAt}, nil
}

func (f *fakeDesk) ListSolutions(_ context.Context, tenantID string, start int) ([]Solution, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(tenantID); err != nil {
		return nil, 0, err
	}
	to := min(start-1+f.pageSize, len(f.solutions))
	next := 0
	if to < len(f.solutions) {
		next = to + 1
	}
	return f.solutions[start-1 : to], next, nil
}

func (f *fakeDesk) ListAssets(_ context.Context, tenantID string, start int) ([]Asset, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(tenantID); err != nil {
		return nil, 0, err
	}
	to := min(start-1+f.pageSize, len(f.assets))
	next := 0
	if to < len(f.assets) {
		next = to + 1
	}
	return f.assets[start-1 : to], next, nil
}

// fakeHosts keeps the assets of one tenant in memory.
type fakeHosts struct {
	mu   sync.Mutex
	kept map[string]Asset
	put  map[string]bool
}

func (f *fakeHosts) Mirror(context.Context, string) (Mirror, error) {
	f.put = map[string]bool{}
	return f, nil
}

func (f *fakeHosts) Put(_ context.Context, assets []Asset) (c Change, skipped int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range assets {
		f.put[a.ID] = true
		if _, known := f.kept[a.ID]; known {
			c.Unchanged++
		} else {
			c.Added++
		}
		f.kept[a.ID] = a
	}
	return c, 0, nil
}

func (f *fakeHosts) Close(context.Context) (retired int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.kept {
		if !f.put[id] {
			delete(f.kept, id)
			retired++
		}
	}
	return retired, nil
}

// fakeStore keeps tickets and articles in memory, a batch whole or not at all.
type fakeStore struct {
	mu       sync.Mutex
	tickets  map[string]Ticket
	articles map[string]Article
	err      error
}

func newFakeStore() *fakeStore {
	return &fakeStore{tickets: map[string]Ticket{}, articles: map[string]Article{}}
}

func put[V any](f *fakeStore, into map[string]V, id string, v V, c *Change) {
	old, known := into[id]
	switch {
	case !known:
		c.Added++
	case fmt.Sprint(old) == fmt.Sprint(v):
		c.Unchanged++
	default:
		c.Updated++
	}
	into[id] = v
}

func (f *fakeStore) PutTickets(_ context.Context, tenantID string, tickets []Ticket) (c Change, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range tickets {
		put(f, f.tickets, tenantID+"/"+t.ID, t, &c)
	}
	return c, f.err
}

func (f *fakeStore) PutArticles(_ context.Context, tenantID string, articles []Article) (c Change, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range articles {
		put(f, f.articles, tenantID+"/"+a.ID, a, &c)
	}
	return c, f.err
}

func (f *fakeStore) KeepArticles(_ context.Context, tenantID, collection string, ids []string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	removed := 0
	for key, a := range f.articles {
		if key == tenantID+"/"+a.ID && a.Collection == collection && !slices.Contains(ids, a.ID) {
			delete(f.articles, key)
			removed++
		}
	}
	return removed, nil
}

func (f *fakeStore) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id := range f.tickets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// fakeReceiver writes the rows that the enhancement module would, so that what was received is seen.
type fakeReceiver struct {
	mu       sync.Mutex
	received []Delivery
	err      error
}

func (f *fakeReceiver) ReceiveTx(ctx context.Context, tx pgx.Tx, d Delivery) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return false, f.err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference, created_at)
		VALUES ($1, gen_random_uuid(), $2, $3, $4, 'Ref', $5)
		ON CONFLICT DO NOTHING`, d.TenantID, d.Key, d.Event, d.TicketID, now)
	if err != nil {
		return false, err
	}
	if tag.RowsAffected() == 1 {
		f.received = append(f.received, d)
	}
	return tag.RowsAffected() == 1, nil
}

func (f *fakeReceiver) tickets() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for _, d := range f.received {
		ids = append(ids, d.TenantID+"/"+d.TicketID)
	}
	slices.Sort(ids)
	return ids
}
