package enhancement

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/enhancement/synthesis"
)

// Transactor opens the tenant-scoped transactions of the pipeline.
type Transactor interface {
	InTenantTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) error
	// InTenantBatch runs statements that do not need each other's results as one transaction, in one round trip. The error
	// of a callback comes out, and undoes nothing.
	InTenantBatch(ctx context.Context, tenantID string, queue func(b *pgx.Batch)) error
}

// Queue schedules jobs in a caller's transaction; River's client is one.
type Queue interface {
	InsertManyTx(ctx context.Context, tx pgx.Tx, jobs []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
}

// Desk reads tickets of the tenant's service desk.
type Desk interface {
	// Ticket fetches a ticket. NotFound when the desk has no such ticket; Forbidden when it belongs to somebody else's
	// account; Unavailable or Limited when it is worth trying again.
	Ticket(ctx context.Context, tenantID, ticketID string) (DeskTicket, error)
}

// DeskTicket is a ticket as the desk has it, with its resolution once there is one.
type DeskTicket struct {
	Ticket     evidence.Ticket
	Resolution string
	ResolvedAt time.Time
	Tags       []string
}

// Notes writes the note to the ticket, once in effect.
type Notes interface {
	// Post makes the note stand on the ticket. An error that carries a RetryAfter asks to be called again then.
	Post(ctx context.Context, n Note) (Posted, error)
	// RecordPostedTx marks the note as posted in the transaction that completes the enhancement.
	RecordPostedTx(ctx context.Context, tx pgx.Tx, n Note, p Posted) error
}

// Note is what is to be posted.
type Note struct {
	TenantID    string
	Enhancement uuid.UUID
	TicketID    string
	Reference   string
	Epoch       int64
	HTML        string
	// Repost posts again what nobody could find, where the tenant's choice is to leave that to a person: one has asked.
	Repost bool
}

// Posted says where the note stands now.
type Posted struct {
	NoteID  string
	Adopted bool
	// Recorded is set when the notes' own record is durable already.
	Recorded bool
}

// Tenants knows how a tenant wants its notes, and which tenants there are.
type Tenants interface {
	// Preferences returns the wishes of a tenant. NotFound when it is gone; Forbidden when it is disabled.
	Preferences(ctx context.Context, tenantID string) (Preferences, error)
	// IDs lists all tenants that are not disabled.
	IDs(ctx context.Context) ([]string, error)
}

// Preferences is how a tenant wants its notes.
type Preferences struct {
	Language string
	MaxWords int
	// DailyTokenBudget bounds the model's tokens a day (UTC); 0 is no bound.
	DailyTokenBudget int64
	// Model is asked before the configured ones; empty leaves those.
	Model string
	// ShowRequester lets the note name the person who opened the ticket.
	ShowRequester bool
	// MustFetch is set where the desk has to confirm whose ticket it is before anything is searched for it.
	MustFetch bool
	// CanFetch is false for systems that cannot be read; then the webhook has to bring the whole ticket.
	CanFetch bool
	// Skip names the first rule by which the ticket gets no note, in plain words; empty when it gets one.
	Skip func(t evidence.Ticket) string
}

// Similar finds solved tickets of the tenant that look like this one.
type Similar interface {
	SimilarTickets(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.SimilarTicket, error)
}

// Articles finds documentation of the tenant that fits the ticket.
type Articles interface {
	Articles(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.Article, error)
}

// Documentation searches the tenant's documentation systems. ErrNotConfigured when the tenant has none.
type Documentation interface {
	Documents(ctx context.Context, tenantID string, t evidence.Ticket) ([]evidence.Article, error)
}

// Systems recognises the hosts that a ticket names.
type Systems interface {
	Lookup(ctx context.Context, tenantID, text string) ([]evidence.System, error)
}

// Monitoring says what was wrong with hosts around a time. ErrNotConfigured when the tenant has none.
type Monitoring interface {
	Observe(ctx context.Context, tenantID string, hosts []evidence.System, at time.Time) ([]evidence.Observation, error)
}

// Resolutions keeps past tickets with their fix.
type Resolutions interface {
	// RecordTx inserts or replaces the past ticket in tx.
	RecordTx(ctx context.Context, tx pgx.Tx, tenantID string, t DeskTicket) error
}

// Model writes the answer from the evidence.
type Model interface {
	Synthesise(ctx context.Context, b evidence.Bundle, opts synthesis.Options) (synthesis.Result, error)
}
