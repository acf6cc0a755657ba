package tenant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/fault"
)

const (
	defaultAuditLimit = 100
	maxAuditLimit     = 1000
)

// AuditEntry tells who did what to a tenant. Detail holds no secrets: they are "[set]" or "[not set]" in it.
type AuditEntry struct {
	ID     string          `json:"id" db:"id"`
	At     time.Time       `json:"at" db:"at"`
	Actor  string          `json:"actor" db:"actor"`
	Action string          `json:"action" db:"action"`
	Detail json.RawMessage `json:"detail" db:"detail"`
}

// AuditFilter narrows Audit; the zero value takes the newest 100 entries.
type AuditFilter struct {
	// Actor is a whole actor, or the part before its colon: "admin" finds "admin:192.0.2.7".
	Actor  string
	Action string
	Since  time.Time // inclusive
	Until  time.Time // exclusive
	Limit  int       // at most 1000
	// AfterAt and AfterID continue a list behind the last entry of its page.
	AfterAt time.Time
	AfterID string
}

// Audit lists a tenant's audit entries, the newest first. The log of a deleted tenant can be read until it expires.
func (m *Module) Audit(ctx context.Context, id string, f AuditFilter) ([]AuditEntry, error) {
	if !tenantID.MatchString(id) {
		return nil, errUnknown(id)
	}
	if f.Limit == 0 {
		f.Limit = defaultAuditLimit
	}
	if f.Limit < 0 || f.Limit > maxAuditLimit {
		return nil, faults{"limit": "must be 1 to 1000"}.err("the audit log cannot be read as asked")
	}
	var entries []AuditEntry
	err := m.db.InTenantTx(ctx, id, func(ctx context.Context, tx pgx.Tx) (err error) {
		entries, err = selectAudit(ctx, tx, id, f)
		return err
	})
	return entries, err
}

// RecordTx adds an audit entry for an act of another module, inside that act's transaction of the same tenant. Detail is
// stored as JSON and must hold no ticket text and no secret.
func (m *Module) RecordTx(ctx context.Context, tx pgx.Tx, tenantID, actor, action string, detail map[string]any) error {
	if actor == "" || action == "" {
		return fault.New(fault.Internal, "an audit entry needs an actor and an action")
	}
	if detail == nil {
		detail = map[string]any{}
	}
	return insertAudit(ctx, tx, tenantID, actor, action, detail)
}
