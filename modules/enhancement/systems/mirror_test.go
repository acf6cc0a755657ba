package systems

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/modules/enhancement/evidence"
)

// mirrored puts one whole list of assets.
func (b bench) mirrored(t *testing.T, assets ...Asset) (added, changed, skipped, retired int) {
	t.Helper()
	m, err := b.inventory.Mirror(t.Context(), "acme")
	require.NoError(t, err)
	added, changed, skipped, err = m.Put(t.Context(), assets)
	require.NoError(t, err)
	retired, err = m.Close(t.Context())
	require.NoError(t, err)
	return added, changed, skipped, retired
}

// one looks a text up that names one system.
func (b bench) one(t *testing.T, text string) evidence.System {
	t.Helper()
	found, err := b.inventory.Lookup(t.Context(), "acme", text)
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func TestAssetsFillTheInventoryAndNeverOverwriteAnImport(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname,role\n10.0.0.7,FS-01,file server\n")
	fs := Asset{ID: "1", Name: "fs-01", IP: "10.0.0.7", Type: "Server"}
	db := Asset{ID: "2", Name: "db-01", IP: "10.0.0.8", Type: "Server", Location: "Hall 1"}
	added, changed, skipped, retired := b.mirrored(t, fs, db, Asset{ID: "3", Name: "Dell Monitor 24"}, Asset{ID: "4", Name: "db-01", IP: "10.0.0.8"})
	require.Equal(t, []int{1, 0, 2, 0}, []int{added, changed, skipped, retired})
	found := b.one(t, "10.0.0.7")
	require.Equal(t, "file server", found.Role, "what was imported stays")
	found = b.one(t, "10.0.0.8")
	require.Equal(t, "Hall 1", found.Location)
	require.Equal(t, "ServiceDesk Plus", found.Metadata["source"], "where it comes from is kept")
	require.Equal(t, "2", found.Metadata["asset_id"])

	db.Location = "Hall 2"
	added, changed, _, _ = b.mirrored(t, fs, db)
	require.Equal(t, []int{0, 1}, []int{added, changed})
	_, changed, _, retired = b.mirrored(t, fs, db)
	require.Equal(t, []int{0, 0}, []int{changed, retired}, "a second run writes nothing")

	moved := db
	moved.IP = "10.0.0.9"
	added, _, _, retired = b.mirrored(t, fs, moved)
	require.Equal(t, []int{1, 1}, []int{added, retired}, "the old address is retired")
	_, _, _, retired = b.mirrored(t, fs)
	require.Equal(t, 1, retired)
	require.True(t, b.one(t, "db-01").Retired)
	require.False(t, b.one(t, "10.0.0.7").Retired, "an import is retired by an import only")
	_, _, _, retired = b.mirrored(t)
	require.Zero(t, retired, "a desk that shows nothing retires nothing")

	b.mirrored(t, moved)
	report := b.load(t, "acme", "ip,hostname,role\n10.0.0.7,FS-01,file server\n", ImportOptions{Prune: true})
	require.Zero(t, report.Retired, "an import prunes what was imported")
	report = b.load(t, "acme", "ip,hostname,role\n10.0.0.9,db-01,database\n", ImportOptions{})
	require.Equal(t, 1, report.Changed, "an import takes the desk's row over")
	b.mirrored(t, moved)
	require.Equal(t, "database", b.one(t, "10.0.0.9").Role)
}

func TestRetiredHostsGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.7,FS-01\n10.0.0.8,FS-02\n")
	b.load(t, "acme", "ip,hostname\n10.0.0.8,FS-02\n", ImportOptions{Prune: true})
	purge := func(before time.Time, dryRun bool) int64 {
		n, err := b.inventory.Purge(t.Context(), "acme", before, dryRun)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, purge(time.Now().Add(-time.Hour), false), "it was retired a moment ago")
	later := time.Now().Add(time.Hour)
	require.EqualValues(t, 1, purge(later, true))
	require.True(t, b.one(t, "10.0.0.7").Retired, "a dry run changes nothing")
	require.EqualValues(t, 1, purge(later, false))
	require.True(t, strings.HasPrefix(b.one(t, "10.0.0.7").How, "unknown"))
	require.False(t, b.one(t, "10.0.0.8").Retired)
}
