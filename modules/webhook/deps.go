package webhook

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Tenants says who may call, and with which secrets.
type Tenants interface {
	// Find returns a tenant from memory, without asking the database. An unknown tenant is a tenant with Active false and decoy secrets,
	// never an error, so that verification takes the same path for both. An error means the lookup itself failed.
	Find(ctx context.Context, tenantID string) (Tenant, error)
	// FindFresh is Find past the cache: one read of the database, for known and unknown tenants alike.
	FindFresh(ctx context.Context, tenantID string) (Tenant, error)
}

// Tenant is what verification needs to know.
type Tenant struct {
	ID string
	// Active is false for an unknown and for a disabled tenant; no credential is good then.
	Active bool
	// Secrets are the secrets that count now: the current one, and the previous one during a rotation.
	Secrets []string
	// Kinds are the enabled credentials: hmac, token, standard.
	Kinds []string
	// AllowedSources limits the sender's address; empty allows every address.
	AllowedSources []netip.Prefix
}

// Enhancements records deliveries and schedules the work on them.
type Enhancements interface {
	// ReceiveAllTx records deliveries of one tenant in tx and schedules their jobs, all if and only if tx commits, and returns
	// a receipt for each. The same delivery again gets the first receipt with Duplicate set, and schedules nothing.
	ReceiveAllTx(ctx context.Context, tx pgx.Tx, deliveries []Delivery) ([]Receipt, error)
}

// Resolutions keeps past tickets with their fix.
type Resolutions interface {
	// RecordTx inserts or replaces the past ticket of (tenant, ticket) in tx.
	RecordTx(ctx context.Context, tx pgx.Tx, tenantID string, t ResolvedTicket) error
}

// Transactor opens the one transaction of a delivery.
type Transactor interface {
	InTenantTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) error
}

// Delivery is one verified webhook.
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
	// Trace is the trace of the request, as the metadata of its job.
	Trace []byte
}

// Receipt tells what became of a delivery.
type Receipt struct {
	ID        uuid.UUID
	Duplicate bool
}

// ResolvedTicket is a past ticket with its fix.
type ResolvedTicket struct {
	TicketID    string
	Subject     string
	Description string
	Resolution  string
	ResolvedAt  time.Time
	Priority    string
	Tags        []string
}
