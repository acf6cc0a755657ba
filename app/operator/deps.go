package operator

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"aiagents/app/housekeeping"
	"aiagents/internal/secret"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/evidence"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

// Transactor opens tenant-scoped transactions.
type Transactor interface {
	InTenantTx(ctx context.Context, tenantID string, fn func(ctx context.Context, tx pgx.Tx) error) error
}

// Tenants reads tenants.
type Tenants interface {
	IDs(ctx context.Context) ([]string, error)
	// ListAfter lists the tenants behind an id, by id; a limit of 0 is all.
	ListAfter(ctx context.Context, after string, limit int) ([]tenant.Listing, error)
	// Fresh is NotFound for an unknown tenant.
	Fresh(ctx context.Context, id string) (tenant.Tenant, error)
}

// TenantChanges changes tenants, each change with its audit entry.
type TenantChanges interface {
	Create(ctx context.Context, actor string, in tenant.CreateInput) (tenant.Tenant, error)
	Update(ctx context.Context, actor, id string, in tenant.UpdateInput) (tenant.Tenant, error)
	RotateWebhookSecret(ctx context.Context, actor, id string, in tenant.RotateInput) (tenant.Tenant, error)
	Disable(ctx context.Context, actor, id string) (tenant.Tenant, error)
	Enable(ctx context.Context, actor, id string) (tenant.Tenant, error)
	Delete(ctx context.Context, actor, id string) (map[string]int64, error)
}

// TenantSecrets keeps the secrets of a tenant's other systems.
type TenantSecrets interface {
	Secrets(ctx context.Context, id string) ([]tenant.SecretInfo, error)
	SetSecret(ctx context.Context, actor, id, name string, value secret.Secret) error
	DeleteSecret(ctx context.Context, actor, id, name string) error
}

// AuditLog is who did what.
type AuditLog interface {
	AuditedIDs(ctx context.Context) ([]string, error)
	Audit(ctx context.Context, id string, f tenant.AuditFilter) ([]tenant.AuditEntry, error)
	// RecordTx adds an entry inside the transaction of the act that it tells of.
	RecordTx(ctx context.Context, tx pgx.Tx, tenantID, actor, action string, detail map[string]any) error
}

// Runs are the enhancements.
type Runs interface {
	List(ctx context.Context, tenantID string, f enhancement.Filter) ([]enhancement.Summary, error)
	// Show is NotFound when this tenant has no such run.
	Show(ctx context.Context, tenantID string, id uuid.UUID) (enhancement.Detail, error)
	RetryTx(ctx context.Context, tx pgx.Tx, tenantID string, id uuid.UUID) error
}

// Previews makes notes that are neither posted nor kept.
type Previews interface {
	Preview(ctx context.Context, tenantID string, t evidence.Ticket) (enhancement.Preview, error)
}

// Figures are counts over the runs.
type Figures interface {
	Statistics(ctx context.Context, tenantID string, since, until time.Time, step time.Duration) (enhancement.Statistics, error)
	Storms(ctx context.Context, tenantID string) ([]enhancement.StormGroup, error)
	Costs(ctx context.Context, tenantID string, since, until time.Time) ([]enhancement.CostLine, error)
}

// Desks is the state of the connections to the tenants' desks.
type Desks interface {
	ConnectionState(ctx context.Context, tenantID string) (notifier.ConnectionState, error)
	// Resume ends a pause at once.
	Resume(ctx context.Context, tenantID string) error
}

// ConnectionTest examines a tenant's connection without writing anything to the desk.
type ConnectionTest interface {
	TestConnection(ctx context.Context, tenantID string) ([]Check, error)
}

// Queue is the state of the job queue and of those who work it.
type Queue interface {
	Queue(ctx context.Context) ([]QueueState, error)
	Workers(ctx context.Context) ([]Worker, error)
}

// Housekeeping is the periodic tasks.
type Housekeeping interface {
	List(ctx context.Context) ([]housekeeping.Status, error)
	// Run is NotFound for an unknown task, and Invalid where a dry run is asked of one that has none.
	Run(ctx context.Context, task string, dryRun bool) (housekeeping.Run, error)
}
