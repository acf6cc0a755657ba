package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/feed"
	"aiagents/modules/enhancement/retrieval"
)

// fedByHand switches the periodic feeds off, so that a test decides when they run, and lets the desk be read fast.
func fedByHand(c *Config) {
	c.Feed.ReconcileInterval, c.Feed.TicketsInterval, c.Feed.SolutionsInterval = 0, 0, 0
	c.Notifier.RequestsPerSecond, c.Notifier.ListsPerSecond = 1000, 1000
}

func TestSolvedTicketsAndSolutionsAreFetchedFromTheDesk(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withConfig(fedByHand))
	d := h.newDesk(servicedesk.Options{})
	now := time.Now()
	for i := range 130 {
		status, resolution := "Closed", "<p>Replaced the fuser unit and reset the counter</p>"
		if i%5 != 0 {
			status, resolution = "Open", ""
		}
		at := now.Add(-time.Duration(300-i) * time.Hour)
		_, err := d.AddTicket(servicedesk.Ticket{
			Subject: fmt.Sprintf("Printer PRN-%03d smears", i), Description: "Pages come out <b>smeared</b> on one side",
			Status: status, Resolution: resolution, Created: at, Updated: at,
		})
		require.NoError(t, err)
	}
	d.AddSolution(servicedesk.Solution{
		Title: "Smeared pages", Public: true,
		Description: "<h2>Cause</h2><p>The fuser unit is worn out.</p><h2>Cure</h2><p>Replace the fuser unit.</p>",
	})
	gone := d.AddSolution(servicedesk.Solution{Title: "Draft", Status: "UnApproved", Description: "<p>not yet</p>"})
	tt := h.tenant("acme", d, nil)

	code, out, errOut := h.cli("", "tickets", "sync", "--tenant", tt.id, "--since", "30d", "--output", "json")
	require.Zero(t, code, errOut)
	require.Contains(t, strings.Join(strings.Fields(out), ""), `"outcome":"ok","listed":130,"fetched":26,"added":26,`)
	again, err := h.p.system.feed.SyncTickets(t.Context(), tt.id, feed.SyncOptions{})
	require.NoError(t, err)
	require.Zero(t, again.Added+again.Updated)
	require.LessOrEqual(t, again.Fetched, 1, "an increment reads the overlap only")
	similar, err := h.p.system.tickets.SearchSimilar(t.Context(), tt.id, retrieval.Query{Subject: "Printer PRN-010 smears", Description: "PRN-010 pages come out smeared"})
	require.NoError(t, err)
	require.NotEmpty(t, similar)
	require.Equal(t, "sync", similar[0].Source)
	require.Equal(t, "Replaced the fuser unit and reset the counter", similar[0].Resolution)

	code, out, errOut = h.cli("", "knowledge", "sync", "--tenant", tt.id, "--output", "json")
	require.Zero(t, code, errOut)
	require.Contains(t, strings.Join(strings.Fields(out), ""), `"listed":1,`)
	articles, err := h.p.system.tickets.SearchArticles(t.Context(), tt.id, retrieval.Query{Subject: "fuser unit worn out replace"})
	require.NoError(t, err)
	require.NotEmpty(t, articles)
	require.Equal(t, "Smeared pages", articles[0].Title)
	require.Contains(t, []string{"Cause", "Cure"}, articles[0].Section, "a solution is split at its headings")
	require.NotContains(t, out, gone)
}

func TestATicketWhoseWebhookNeverCameGetsItsNote(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withConfig(fedByHand), withConfig(func(c *Config) { c.Feed.ReconcileGrace = 0 }))
	d := h.newDesk(servicedesk.Options{})
	tt := h.tenant("acme", d, nil)
	ago := func(age time.Duration, status string) string {
		t.Helper()
		added, err := d.AddTicket(servicedesk.Ticket{
			Subject: "VPN drops", Description: "The tunnel drops after a minute", Status: status,
			Created: time.Now().Add(-age), Updated: time.Now().Add(-age),
		})
		require.NoError(t, err)
		return added.ID
	}
	lost, before, closed := ago(0, "Open"), ago(time.Hour, "Open"), ago(0, "Closed")

	res, err := h.p.system.feed.Reconcile(t.Context(), tt.id)
	require.NoError(t, err)
	require.Equal(t, 1, res.Queued)
	tt.note(lost)
	require.Equal(t, 202, tt.send(tt.body(lost)).status, "its webhook comes after all")
	res, err = h.p.system.feed.Reconcile(t.Context(), tt.id)
	require.NoError(t, err)
	require.Zero(t, res.Queued)
	tt.settled()
	require.Len(t, d.Notes(lost), 1)
	require.Empty(t, d.Notes(before), "created before the tenant was onboarded")
	require.Empty(t, d.Notes(closed))
}

// The desk's assets fill the inventory, so that the next note knows the machine.
func TestAssetsOfTheDeskAreKnownToTheNextNote(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", h.newDesk(servicedesk.Options{NewAssets: true}), nil)
	id := acme.desk.AddAsset(servicedesk.Asset{Name: "fs-01", IP: "10.0.0.5", Type: "File server", Site: "Hall 1"})
	sync := func(want string) {
		t.Helper()
		code, out, errOut := h.cli("", "inventory", "sync", "--tenant", "acme", "--output", "json")
		require.Zero(t, code, errOut)
		require.Contains(t, out, want)
	}
	sync(`"added": 1`)
	ticket := acme.file(servicedesk.Ticket{Subject: "Share is slow", Description: "Files on 10.0.0.5 open slowly"})
	require.Contains(t, acme.note(ticket).Description, "Hall 1")
	acme.desk.RemoveAsset(id)
	acme.desk.AddAsset(servicedesk.Asset{Name: "fs-02", IP: "10.0.0.6"})
	sync(`"removed": 1`)
	require.Equal(t, "servicedesk", scan[string](h, `SELECT source FROM system_inventory WHERE hostname = 'fs-01' AND deleted_at IS NOT NULL`))
}
