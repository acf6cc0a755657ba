package notifier

import (
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/internal/simulator/servicedesk"
)

// Each build has another list of assets, and says so by refusing the other one.
func TestAssetsAreListedFromEveryEdition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edition servicedesk.Edition
		newer   bool
		ip      string
	}{
		"on-premises before 15100": {servicedesk.OnPrem, false, ""},
		"on-premises from 15100":   {servicedesk.OnPrem, true, "10.0.0.5"},
		"cloud":                    {servicedesk.Cloud, false, ""},
		"MSP on-premises":          {servicedesk.MSPOnPrem, true, "10.0.0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(c.edition)
			o.NewAssets = c.newer
			b := newBench(t, o)
			account := ""
			if len(o.Accounts) > 0 {
				account = o.Accounts[0].ID
				b.desk.AddAsset(servicedesk.Asset{Name: "foreign", IP: "10.9.9.9", AccountID: o.Accounts[1].ID})
			}
			for range 150 {
				b.desk.AddAsset(servicedesk.Asset{Name: "fs-01", IP: "10.0.0.5", Type: "Server", Site: "Hall 1", AccountID: account})
			}
			m := b.module()
			var all []Asset
			for next, pages := 1, 0; next > 0; pages++ {
				require.Less(t, pages, 5)
				page, err := m.ListAssets(t.Context(), tenant, next)
				require.NoError(t, err)
				all, next = append(all, page.Assets...), page.Next
			}
			require.Len(t, all, 150, "nothing of another account")
			require.Equal(t, Asset{ID: all[0].ID, Name: "fs-01", IP: c.ip, Type: "Server", Site: "Hall 1", AccountID: account}, all[0])
		})
	}
}

func TestADeskWithoutAssetsSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, servicedesk.Options{Edition: servicedesk.Generic, APIKey: key})
	_, err := b.module().ListAssets(t.Context(), tenant, 1)
	requireCode(t, err, fault.Invalid, "DESK_UNSUPPORTED")
}
