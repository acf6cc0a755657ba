package feed

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return m.GetCounter().GetValue()
}

func TestAWalkFeedsEveryTenantWhateverBecomesOfOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(solved("1", time.Hour), opened("2", 10*time.Minute))
	b.desk.solutions = []Solution{{ID: "1", Title: "VPN", Body: "text"}}
	b.tenants["broken"] = b.tenants["acme"]
	b.tenants["beta"] = b.tenants["acme"]
	b.tenants["off"] = Tenant{Disabled: true, CanList: true}
	b.tenants["generic"] = Tenant{}
	b.desk.broken = "broken"

	for _, walk := range []func(context.Context) (map[string]int64, error){b.ReconcileAll, b.SyncAllTickets, b.SyncAllSolutions} {
		changed, err := walk(t.Context())
		require.ErrorContains(t, err, "tenant broken: ")
		require.NotContains(t, err.Error(), "beta")
		require.Equal(t, map[string]int64{"acme": 1, "beta": 1}, changed)
	}
	require.Equal(t, []string{"acme/1", "beta/1"}, b.store.ids())
	require.Equal(t, []string{"acme/2", "beta/2"}, b.receiver.tickets())
	require.Len(t, b.store.articles, 2)
	require.Equal(t, "ok", b.state(t, KindSolutions).LastResult)
	require.InDelta(t, 2, value(t, b.metrics.reconciled), 0)
	require.InDelta(t, 2, value(t, b.metrics.rows.WithLabelValues(KindTickets, "added")), 0)
	require.InDelta(t, 1, value(t, b.metrics.failures.WithLabelValues(KindTickets, "unavailable")), 0)
}

// A worker that stops must not wait for a desk: the walk ends, and the next one goes on.
func TestAWalkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.add(opened("2", 10*time.Minute))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.ReconcileAll(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, b.receiver.tickets())
	_, err = b.ReconcileAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"acme/2"}, b.receiver.tickets())
}

func TestAWalkLeavesAloneWhatWasFedAMomentAgo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.SyncTickets(t.Context(), "acme", SyncOptions{})
	require.NoError(t, err)
	lists := b.desk.lists
	_, err = b.syncTickets(t.Context(), "acme", minAge(15*time.Minute), SyncOptions{})
	require.ErrorIs(t, err, errHeld)
	require.Equal(t, lists, b.desk.lists)
	b.exec(t, `UPDATE feed_state SET last_success_at = now() - interval '8 minutes' WHERE tenant_id = 'acme'`)
	_, err = b.syncTickets(t.Context(), "acme", minAge(15*time.Minute), SyncOptions{})
	require.NoError(t, err)
	require.Equal(t, 5*time.Hour+52*time.Minute+30*time.Second, minAge(6*time.Hour), "a failed mirror is tried again within 15 minutes")
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	require.Empty(t, DefaultConfig().Validate())
	c := Config{ReconcileInterval: time.Second, TicketsInterval: -1, ReconcileGrace: time.Hour, TicketsOverlap: -1, ReconcileMaxAge: -1}
	faults := c.Validate()
	require.Len(t, faults, 7)
	for _, f := range faults {
		require.Regexp(t, `^feed\.[a-z_]+: must be `, f)
	}
}

func TestNewNamesEveryMissingDependency(t *testing.T) {
	t.Parallel()
	_, err := New(Deps{}, DefaultConfig())
	for _, name := range []string{"DB", "Desk", "Tickets", "Articles", "Receiver", "Tenants", "Clock"} {
		require.ErrorContains(t, err, name)
	}
}
