package enhancement

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"aiagents/internal/fault"
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
	// Trace is the metadata by which the job continues the delivery's trace; nil takes the context's.
	Trace []byte
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

// ReceiveTx records one delivery; see ReceiveAllTx.
func (m *Module) ReceiveTx(ctx context.Context, tx pgx.Tx, d Delivery) (Receipt, error) {
	receipts, err := m.ReceiveAllTx(ctx, tx, []Delivery{d})
	if err != nil {
		return Receipt{}, err
	}
	return receipts[0], nil
}

// ReceiveAllTx records deliveries of one tenant in tx and schedules their jobs, all if and only if tx commits, and returns a
// receipt for each. The same delivery again returns the first receipt with Duplicate set and schedules nothing. A second
// delivery about a ticket that has its note, or is about to get it, is recorded as skipped: there is one note a ticket.
func (m *Module) ReceiveAllTx(ctx context.Context, tx pgx.Tx, deliveries []Delivery) ([]Receipt, error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	tenantID := deliveries[0].TenantID
	arrivals := make([]arrival, len(deliveries))
	for i, d := range deliveries {
		if d.TenantID != tenantID {
			return nil, fault.New(fault.Internal, "deliveries of several tenants in one transaction")
		}
		arrivals[i] = arrival{Delivery: d, start: startOf(d.Event), id: uuid.Must(uuid.NewV7()), reference: note.NewReference()}
	}
	fresh, backlog, err := insertTx(ctx, tx, tenantID, inLockOrder(arrivals))
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(arrivals))
	var jobs []river.InsertManyParams
	for i, a := range arrivals {
		receipts[i] = Receipt{ID: a.id}
		switch {
		case !fresh[a.id]:
			if receipts[i], err = known(ctx, tx, a); err != nil {
				return nil, err
			}
		case a.job != nil:
			id := runID{tenant: tenantID, id: a.id}
			backlog++
			jobs = append(jobs, m.jobOf(ctx, a.job(id), fair(priorityOf(a.Priority), backlog > floodThreshold), a.Trace))
		}
	}
	return receipts, m.enqueueTx(ctx, tx, jobs...)
}

// inLockOrder sorts by what the unique indexes compare, so that two transactions with the same deliveries wait for each
// other instead of dead-locking.
func inLockOrder(arrivals []arrival) []arrival {
	return slices.SortedStableFunc(slices.Values(arrivals), func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.TicketID, b.TicketID), bytes.Compare(a.Key, b.Key))
	})
}

// known tells what becomes of an arrival that did not go in: the same delivery was there before it, or another about the
// same ticket.
func known(ctx context.Context, tx pgx.Tx, a arrival) (Receipt, error) {
	first, duplicate, err := findByKeyTx(ctx, tx, a.TenantID, a.Key)
	if err != nil || duplicate {
		return Receipt{ID: first, Duplicate: true}, err
	}
	a.start = start{status: "completed", stage: "closed", outcome: "skipped", reason: "the ticket has its note from another delivery"}
	_, _, err = insertTx(ctx, tx, a.TenantID, []arrival{a})
	return Receipt{ID: a.id}, err
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

func (m *Module) jobOf(ctx context.Context, args river.JobArgs, priority int, trace []byte) river.InsertManyParams {
	if trace == nil {
		trace = m.deps.TraceMetadata(ctx)
	}
	return river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{
		Priority: priority, MaxAttempts: m.cfg.MaxAttempts, Metadata: trace,
	}}
}

func (m *Module) enqueueTx(ctx context.Context, tx pgx.Tx, jobs ...river.InsertManyParams) error {
	if len(jobs) == 0 {
		return nil
	}
	if _, err := m.deps.Queue.InsertManyTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("enqueue: %w", err)
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
