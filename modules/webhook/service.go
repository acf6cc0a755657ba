package webhook

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"

	"aiagents/internal/crashpoint"
	"aiagents/internal/fault"
)

// request is what a handler hands to the service.
type request struct {
	tenantID    string
	credentials credentials
	body        []byte
	source      netip.Addr
}

// unauthenticated is the one answer to an unknown tenant, a disabled tenant and a wrong credential.
func unauthenticated() error {
	return fault.New(fault.Unauthenticated, "the webhook could not be verified").WithCode("WEBHOOK_VALIDATION_FAILED")
}

// queueUnavailable is the answer when nothing could be recorded; the sender may simply send again.
func queueUnavailable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "the delivery cannot be recorded now").
		WithCode("QUEUE_UNAVAILABLE").WithRetryAfter(retryAfterOutage)
}

// authenticate proves that the request comes from the tenant that it claims. A first failure is checked against the
// database before it counts, so a secret rotated a moment ago on another process is never refused, and an unknown
// tenant costs exactly what a known one with a wrong credential costs.
func (m *Module) authenticate(ctx context.Context, r request) (Tenant, error) {
	t, err := m.deps.Tenants.Find(ctx, r.tenantID)
	if err != nil {
		return Tenant{}, queueUnavailable(err)
	}
	if verify(t, r.credentials, r.body, r.source, m.deps.Clock(), m.cfg.TimestampTolerance) {
		return t, nil
	}
	t, err = m.deps.Tenants.FindFresh(ctx, r.tenantID)
	if err != nil {
		return Tenant{}, queueUnavailable(err)
	}
	if verify(t, r.credentials, r.body, r.source, m.deps.Clock(), m.cfg.TimestampTolerance) {
		return t, nil
	}
	return Tenant{}, unauthenticated()
}

// receive records one event and schedules its work, in a transaction that it may share with others of its tenant.
func (m *Module) receive(ctx context.Context, d Delivery) (Receipt, error) {
	d.Trace = m.deps.TraceMetadata(ctx)
	receipt, err := m.intake.add(ctx, d)
	if err != nil {
		return Receipt{}, asUnavailable(fmt.Errorf("receive delivery: %w", err))
	}
	crashpoint.Reach("k1")
	return receipt, nil
}

// recordAll records deliveries of one tenant in one transaction.
func (m *Module) recordAll(ctx context.Context, deliveries []Delivery) (receipts []Receipt, err error) {
	err = m.deps.DB.InTenantTx(ctx, deliveries[0].TenantID, func(ctx context.Context, tx pgx.Tx) error {
		receipts, err = m.deps.Enhancements.ReceiveAllTx(ctx, tx, deliveries)
		return err
	})
	return receipts, err
}

// record keeps a resolved ticket. The history row and the delivery stand or fall together, so a duplicate answer always
// means that the row is there.
func (m *Module) record(ctx context.Context, d Delivery, t ResolvedTicket) (Receipt, error) {
	var receipt Receipt
	err := m.deps.DB.InTenantTx(ctx, d.TenantID, func(ctx context.Context, tx pgx.Tx) error {
		receipts, err := m.deps.Enhancements.ReceiveAllTx(ctx, tx, []Delivery{d})
		if err != nil {
			return err
		}
		if receipt = receipts[0]; receipt.Duplicate {
			return nil
		}
		return m.deps.Resolutions.RecordTx(ctx, tx, d.TenantID, t)
	})
	if err != nil {
		return Receipt{}, asUnavailable(fmt.Errorf("record resolved ticket: %w", err))
	}
	return receipt, nil
}

// asUnavailable gives an outage of the database the code that senders know; other faults stay what they are.
func asUnavailable(err error) error {
	if fault.Is(err, fault.Unavailable) {
		return queueUnavailable(err)
	}
	return err
}
