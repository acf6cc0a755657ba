package feed

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// see records a delivery about a ticket, as the webhook would have.
func (b *bundle) see(t *testing.T, ticketID, event string) {
	t.Helper()
	b.exec(t, `INSERT INTO enhancement_history (tenant_id, id, event_key, event, ticket_id, reference, status, created_at)
		VALUES ('acme', gen_random_uuid(), $1, $2, $3, 'Ref', 'failed', $4)`, []byte(ticketID+event), event, ticketID, now)
}

func (b *bundle) reconcileNow(t *testing.T) Result {
	t.Helper()
	res, err := b.Reconcile(t.Context(), "acme")
	require.NoError(t, err)
	return res
}

func TestReconcileHandsOnWhatNobodyToldUsOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	closed, service := opened("closed", 9*time.Minute), opened("service", 8*time.Minute)
	closed.Status, service.ServiceRequest = "Closed", true
	b.desk.add(
		opened("before", 31*time.Minute), opened("lost", 20*time.Minute), opened("seen", 10*time.Minute), closed, service,
		opened("other event", 5*time.Minute), opened("young", 30*time.Second),
	)
	b.see(t, "seen", "ticket_created") // even though it failed: that is visible, and retried by a person
	b.see(t, "other event", "ticket_edited")

	res := b.reconcileNow(t)
	require.Equal(t, []string{"acme/lost", "acme/other event"}, b.receiver.tickets())
	require.Equal(t, Counts{Listed: 6, Skipped: 4, Queued: 2}, res.Counts)
	d := b.receiver.received[0]
	require.Len(t, d.Key, 32)
	d.Key = nil
	require.Equal(t, Delivery{
		TenantID: "acme", Event: "ticket_created", TicketID: "lost", CorrelationID: "reconcile",
		Subject: "Subject lost", Priority: "High", CreatedAt: ago(20 * time.Minute),
	}, d, "without a description: the worker fetches the whole ticket")

	require.Zero(t, b.reconcileNow(t).Queued, "a second look adds nothing")
	young := opened("young", 2*time.Minute)
	b.desk.add(young)
	require.Equal(t, 1, b.reconcileNow(t).Queued, "its webhook is late by now")
	require.Equal(t, "ok", b.state(t, KindReconcile).LastResult)
}

func TestReconcileLeavesOldTicketsAlone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*testing.T, *bundle)
		want    []string
	}{
		"first run": {func(*testing.T, *bundle) {}, []string{"acme/20m"}},
		"just onboarded": {func(_ *testing.T, b *bundle) {
			b.tenants["acme"] = Tenant{OnboardedAt: ago(5 * time.Minute), CanList: true}
		}, nil},
		"filter is ignored": {func(_ *testing.T, b *bundle) { b.desk.deaf = true }, []string{"acme/20m"}},
		"back after 3 hours": {func(t *testing.T, b *bundle) {
			b.exec(t, `INSERT INTO feed_state (tenant_id, kind, since, cursor_at) VALUES ('acme', 'reconcile', $1, $2)`, ago(900*time.Hour), ago(3*time.Hour))
		}, []string{"acme/20m", "acme/2h"}},
		"back after a week": {func(t *testing.T, b *bundle) {
			b.exec(t, `INSERT INTO feed_state (tenant_id, kind, since, cursor_at) VALUES ('acme', 'reconcile', $1, $2)`, ago(900*time.Hour), ago(170*time.Hour))
		}, []string{"acme/20h", "acme/20m", "acme/2h"}},
		"was disabled": {func(t *testing.T, b *bundle) {
			b.exec(t, `INSERT INTO feed_state (tenant_id, kind, since, cursor_at) VALUES ('acme', 'reconcile', $1, $2)`, ago(900*time.Hour), ago(3*time.Hour))
			b.tenants["acme"] = Tenant{Disabled: true, CanList: true}
			require.Equal(t, OutcomeSkipped, b.reconcileNow(t).Outcome)
			b.tenants["acme"] = Tenant{CanList: true}
		}, nil},
		"cannot be listed": {func(_ *testing.T, b *bundle) { b.tenants["acme"] = Tenant{} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.desk.add(opened("20m", 20*time.Minute), opened("2h", 2*time.Hour), opened("20h", 20*time.Hour), opened("100h", 100*time.Hour))
			test.prepare(t, b)
			b.reconcileNow(t)
			require.Equal(t, test.want, b.receiver.tickets())
		})
	}
}

func TestReconcileStoresAPageWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 7 {
		b.desk.add(opened(fmt.Sprint(i), time.Duration(20-i)*time.Minute))
	}
	b.receiver.err = errors.New("queue is away")
	res, err := b.Reconcile(t.Context(), "acme")
	require.ErrorContains(t, err, "queue is away")
	require.Zero(t, res.Queued)
	require.Nil(t, b.state(t, KindReconcile).CursorAt)
	b.receiver.err = nil
	require.Equal(t, 7, b.reconcileNow(t).Queued)
}

func TestReconcileOfADeskWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(opened("future", -2*time.Hour))
	require.Zero(t, b.reconcileNow(t).Queued)
	require.Equal(t, now, b.state(t, KindReconcile).CursorAt.UTC(), "else what comes up to then would be passed over")
}
