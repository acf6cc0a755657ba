package eval

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/retrieval"
)

func TestGroupsFollowTheDesksOwnSigns(t *testing.T) {
	t.Parallel()
	past := func(id, resolution string, tags ...string) retrieval.Past {
		return retrieval.Past{TicketID: id, Resolution: resolution, Tags: tags}
	}
	history := []retrieval.Past{
		past("10001", "Replaced the fuser unit of the printer"),
		past("10002", "Same trouble as in 10001, see there"),
		past("10003", "Restarted the spooler for 10 users"), // 10 is no ticket's reference
		past("10", "Renewed the certificate of the gateway"),
		past("11", "Solved together with ticket #10"),
		past("INC-7", "Enlarged the mailbox of the team"),
		past("INC-8", "Archived what was older than a year", "duplicate-of:INC-7"),
		past("20001", "Cleared the print queue, then restarted it."),
		past("20002", "cleared the print queue then restarted it"),
		past("30001", "This resolution names itself, 30001"),
		past("40001", "Cleared the resolver's cache", "dns", "1014"),
		past("40002", "Changed the order of the resolvers", "1014", "dns"),
	}
	joined, links := groups(history, 3)
	require.Equal(t, [][]int{{0, 1}, {3, 4}, {5, 6}}, joined, "explicit links are enough")
	require.Equal(t, Links{Tags: 1, References: 2}, links)
	joined, links = groups(history, 4)
	require.Equal(t, [][]int{{0, 1}, {3, 4}, {5, 6}, {7, 8}, {10, 11}}, joined)
	require.Equal(t, Links{Tags: 1, References: 2, Proxies: true, SameResolution: 2, SameTags: 2}, links)
}

func TestASetPhraseLinksNothing(t *testing.T) {
	t.Parallel()
	var history []retrieval.Past
	for i := range cannedAt + 1 {
		history = append(history, retrieval.Past{TicketID: fmt.Sprint(1000 + i), Resolution: "Solved by phone with the user"})
	}
	joined, _ := groups(history, 1)
	require.Empty(t, joined)
	joined, _ = groups(history[:cannedAt], 2)
	require.Len(t, joined, 1)
}

func TestATenantsOwnHistoryIsMeasured(t *testing.T) {
	t.Parallel()
	store := retrieval.New(dbtest.New(t).DB, retrieval.DefaultConfig(), slog.New(slog.DiscardHandler))
	var tickets []retrieval.Ticket
	for i := range fewestQueries {
		for j := range 2 {
			tickets = append(tickets, retrieval.Ticket{
				ID: fmt.Sprint(5000 + 10*i + j), Subject: fmt.Sprintf("Device%d fails with code%d", i, i), Source: "import",
				Description: fmt.Sprintf("Since today device%d does not answer, attempt %d", i, j),
				Resolution:  fmt.Sprintf("Replaced module number%d in the rack", i),
			})
		}
	}
	_, err := store.UpsertTickets(t.Context(), "acme", tickets[:10])
	require.NoError(t, err)
	_, err = RunHistory(t.Context(), store, "acme", 0.2)
	require.True(t, fault.Is(err, fault.NotFound))
	require.ErrorContains(t, err, "5 groups of linked tickets, and 10 are needed")

	_, err = store.UpsertTickets(t.Context(), "acme", tickets)
	require.NoError(t, err)
	report, err := RunHistory(t.Context(), store, "acme", 0.2)
	require.NoError(t, err)
	require.Equal(t, fewestQueries, report.Metrics.Queries)
	require.InDelta(t, 1, report.Metrics.MRR10, 1e-9, "the other ticket of each pair")
	require.Equal(t, 2*fewestQueries, report.Tickets)
	require.Zero(t, report.Error)
	var table bytes.Buffer
	require.NoError(t, report.WriteTable(&table))
	require.Contains(t, table.String(), "10 groups of linked ones")

	_, err = RunHistory(t.Context(), store, "other", 0.2)
	require.ErrorContains(t, err, "0 solved tickets", "another tenant's history is not read")
}
