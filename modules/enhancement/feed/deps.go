package feed

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Transactor opens tenant-scoped transactions.
type Transactor interface {
	InTenantTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) error
}

// Desk lists what the tenant's service desk has. Its errors are faults; Limited carries how long to wait.
type Desk interface {
	// ListTickets reads a page of brief tickets, in ascending order of the time that the query names.
	ListTickets(ctx context.Context, tenantID string, q TicketQuery) (TicketPage, error)
	// Ticket reads one ticket in full. NotFound when it is gone; Forbidden with code FOREIGN_ACCOUNT when it belongs to
	// another customer of the desk.
	Ticket(ctx context.Context, tenantID, ticketID string) (Ticket, error)
	// ListSolutions reads a page of approved, unexpired solutions with their bodies. Start is 1 for the first page; next is
	// 0 on the last.
	ListSolutions(ctx context.Context, tenantID string, start int) (solutions []Solution, next int, err error)
	// ListAssets reads a page of the desk's machines, by the same rule.
	ListAssets(ctx context.Context, tenantID string, start int) (assets []Asset, next int, err error)
}

// Asset is a machine of the desk's asset management.
type Asset struct {
	ID       string
	Name     string
	IP       string
	Type     string
	Location string
}

// Hosts keeps the inventory.
type Hosts interface {
	// Mirror begins to bring the tenant's hosts up to what its desk lists.
	Mirror(ctx context.Context, tenantID string) (Mirror, error)
}

// Mirror takes one list of assets, page by page.
type Mirror interface {
	// Put adds and updates hosts; skipped counts assets that are no hosts.
	Put(ctx context.Context, assets []Asset) (change Change, skipped int, err error)
	// Close retires what was not put, once the whole list was.
	Close(ctx context.Context) (retired int, err error)
}

// TicketQuery selects tickets; one of the times is set.
type TicketQuery struct {
	CreatedSince time.Time
	UpdatedSince time.Time
	// Start is 1 for the first page, then TicketPage.Next.
	Start int
}

// TicketPage is one page of a list. Next is 0 on the last.
type TicketPage struct {
	Tickets []Brief
	Next    int
}

// Brief is a row of a list: enough to decide whether the ticket is worth fetching.
type Brief struct {
	ID             string
	Subject        string
	Priority       string
	Status         string
	ServiceRequest bool
	CreatedAt      time.Time
	UpdatedAt      time.Time
	ResolvedAt     time.Time
}

// Ticket is a past ticket in full.
type Ticket struct {
	ID          string
	Subject     string
	Description string
	Resolution  string
	ResolvedAt  time.Time
	Priority    string
	Tags        []string
	AccountID   string
	// Source is always sync.
	Source string
}

// Tickets keeps past tickets.
type Tickets interface {
	// PutTickets inserts or replaces tickets, up to a hundred at once. The same ticket again changes nothing.
	PutTickets(ctx context.Context, tenantID string, tickets []Ticket) (Change, error)
}

// Solution is an article of the desk's knowledge base. Body is HTML or text.
type Solution struct {
	ID    string
	Title string
	Body  string
	URL   string
}

// Article is a solution as it is kept. Body is HTML or text, to be split by its headings.
type Article struct {
	ID         string
	Title      string
	Body       string
	URL        string
	Collection string
	// Source is always sync.
	Source string
}

// Articles keeps documentation.
type Articles interface {
	// PutArticles inserts or replaces articles. The same article again changes nothing.
	PutArticles(ctx context.Context, tenantID string, articles []Article) (Change, error)
	// KeepArticles removes all articles of a collection but the named ones.
	KeepArticles(ctx context.Context, tenantID, collection string, ids []string) (removed int, err error)
}

// Change counts what a write did.
type Change struct {
	Added     int
	Updated   int
	Unchanged int
}

// Receiver takes a ticket as if its webhook had come.
type Receiver interface {
	// ReceiveTx records the delivery and schedules its work, both if and only if tx commits. fresh is false where the same
	// delivery was received before.
	ReceiveTx(ctx context.Context, tx pgx.Tx, d Delivery) (fresh bool, err error)
}

// Delivery is a ticket to enhance. It carries no description: the worker fetches the whole ticket.
type Delivery struct {
	TenantID      string
	Key           []byte
	Event         string
	TicketID      string
	CorrelationID string
	Subject       string
	Description   string
	Priority      string
	CreatedAt     time.Time
}

// Tenants knows whom to feed.
type Tenants interface {
	// IDs lists all tenants.
	IDs(ctx context.Context) ([]string, error)
	// Tenant tells what feeding depends on. NotFound when the tenant is gone.
	Tenant(ctx context.Context, tenantID string) (Tenant, error)
}

// Tenant is what feeding needs to know of one.
type Tenant struct {
	OnboardedAt time.Time
	Disabled    bool
	// CanList is false for systems that cannot be listed, such as edition generic.
	CanList bool
	// Assets is set where the tenant wants its desk's assets in its inventory, and they can be kept apart there.
	Assets bool
}
