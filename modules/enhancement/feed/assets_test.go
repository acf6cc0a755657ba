package feed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func TestAssetsAreMirroredPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"1", "2", "3", "4"} {
		b.desk.assets = append(b.desk.assets, Asset{ID: id, Name: "host-" + id})
	}
	b.desk.faults = []error{nil, fault.New(fault.Limited, "slow down").WithRetryAfter(7 * time.Second)}
	res, err := b.SyncAssets(t.Context(), "acme", nil)
	require.NoError(t, err)
	require.Equal(t, Result{Kind: KindAssets, Outcome: OutcomeOK, Counts: Counts{Listed: 4, Added: 4}}, res)
	require.Equal(t, []time.Duration{7 * time.Second}, b.waits, "the desk's limit is obeyed")
	require.Equal(t, "ok", b.state(t, KindAssets).LastResult)

	b.desk.assets = b.desk.assets[:3]
	res, err = b.SyncAssets(t.Context(), "acme", nil)
	require.NoError(t, err)
	require.Equal(t, 1, res.Removed)

	b.desk.assets = nil
	b.desk.faults = []error{fault.New(fault.Unavailable, "away")}
	_, err = b.SyncAssets(t.Context(), "acme", nil)
	require.Error(t, err)
	require.Len(t, b.hosts.kept, 3, "nothing is retired by a list that was not read to its end")
}

func TestAssetsAreMirroredByTheClockOnlyWhereTheTenantWantsIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.assets = []Asset{{ID: "1", Name: "host-1"}}
	changed, err := b.SyncAllAssets(t.Context())
	require.NoError(t, err)
	require.Empty(t, changed)
	acme := b.tenants["acme"]
	acme.Assets = true
	b.tenants["acme"] = acme
	changed, err = b.SyncAllAssets(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acme": 1}, changed)
}
