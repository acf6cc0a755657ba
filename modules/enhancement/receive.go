package enhancement

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"aiagents/modules/enhancement/note"
)

// The events of deliveries.
const (
	eventCreated  = "ticket_created"
	eventResolved = "ticket_resolved"
	eventClosed   = "ticket_closed"
	eventRecorded = "resolved_ticket"
)

// Delivery is one verified delivery.
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

// Receipt tells what became of a delivery.
type Receipt struct {
	ID        uuid.UUID
	Duplicate bool
}

// start is the state in which a delivery enters the history.
type start struct {
	status, stage, outcome, reason string
	job                            func(runID) river.JobArgs
}

func startOf(event string) start {
	switch event {
	case eventCreated:
		return start{status: "pending", stage: "received", job: func(id runID) river.JobArgs {
			return EnhanceArgs{TenantID: id.tenant, EnhancementID: id.id}
		}}
	case eventResolved, eventClosed:
		return start{status: "pending", stage: "received", job: func(id runID) river.JobArgs {
			return LearnArgs{TenantID: id.tenant, EnhancementID: id.id}
		}}
	case eventRecorded:
		return start{status: "completed", stage: "closed", outcome: "recorded", reason: "the resolution was kept"}
	}
	return start{status: "completed", stage: "closed", outcome: "skipped", reason: "events of this kind are not acted upon"}
}

// ReceiveTx records a delivery in tx and schedules its job, both if and only if tx commits. The same delivery again
// returns the first receipt with Duplicate set and schedules nothing. A second delivery about a ticket that has its note, or
// is about to get it, is recorded as skipped: there is one note a ticket.
func (m *Module) ReceiveTx(ctx context.Context, tx pgx.Tx, d Delivery) (Receipt, error) {
	id := runID{tenant: d.TenantID, id: uuid.Must(uuid.NewV7())}
	s := startOf(d.Event)
	fresh, err := insertTx(ctx, tx, id.id, note.NewReference(), d, s)
	if err != nil {
		return Receipt{}, err
	}
	if !fresh {
		first, known, err := findByKeyTx(ctx, tx, d.TenantID, d.Key)
		if err != nil || known {
			return Receipt{ID: first, Duplicate: true}, err
		}
		s = start{status: "completed", stage: "closed", outcome: "skipped", reason: "the ticket has its note from another delivery"}
		if _, err := insertTx(ctx, tx, id.id, note.NewReference(), d, s); err != nil {
			return Receipt{}, err
		}
	}
	if s.job == nil {
		return Receipt{ID: id.id}, nil
	}
	flooded, err := floodedTx(ctx, tx, d.TenantID)
	if err != nil {
		return Receipt{}, err
	}
	if err := m.enqueueTx(ctx, tx, id, s.job(id), fair(priorityOf(d.Priority), flooded)); err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: id.id}, nil
}

// fair sends a tenant with a backlog to the end: River runs lower numbers first, so another tenant's ticket need not wait
// for the flood, and within the flood urgent tickets still go first.
func fair(priority int, flooded bool) int {
	switch {
	case !flooded:
		return priority
	case priority == priorityHigh:
		return priorityFloodUrgent
	}
	return priorityFlood
}

func (m *Module) enqueueTx(ctx context.Context, tx pgx.Tx, id runID, args river.JobArgs, priority int) error {
	opts := &river.InsertOpts{
		Priority:    priority,
		MaxAttempts: m.cfg.MaxAttempts,
		Metadata:    m.deps.TraceMetadata(ctx),
	}
	if _, err := m.deps.Queue.InsertTx(ctx, tx, args, opts); err != nil {
		return fmt.Errorf("enqueue %s of %s: %w", args.Kind(), id.id, err)
	}
	return nil
}

// priorityOf lets urgent tickets of a tenant go first. The words are those of ServiceDesk Plus and of the original
// webhook; an unknown word is normal, and so is low: a ticket that says of itself that it can wait must not wait with
// somebody else's flood.
func priorityOf(priority string) int {
	p := strings.ToLower(strings.TrimSpace(priority))
	if strings.Contains(p, "critical") || strings.Contains(p, "urgent") || strings.Contains(p, "high") || p == "p1" || p == "1" {
		return priorityHigh
	}
	return priorityNormal
}
