package feed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func TestSolutionsAreMirrored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.solutions = []Solution{
		{ID: "1", Title: " VPN ", Body: "<h2>Reset</h2>"},
		{ID: "2", Body: "text"},
		{ID: "3", Title: "Empty", Body: " "},
		{ID: "4", Title: "Printer", Body: "text"},
		{ID: "5", Title: "Mail", Body: "text"},
	}
	b.store.articles["acme/mine"] = Article{ID: "mine", Collection: "default"}
	b.store.articles["other/solution-9"] = Article{ID: "solution-9", Collection: Collection}
	pages := 0
	res, err := b.SyncSolutions(t.Context(), "acme", func(Progress) { pages++ })
	require.NoError(t, err)
	require.Equal(t, Result{Kind: "solutions", Outcome: "ok", Counts: Counts{Listed: 5, Added: 4, Skipped: 1}}, res)
	require.Equal(t, 2, pages)
	require.Equal(t, Article{ID: "solution-1", Title: "VPN", Body: "<h2>Reset</h2>", Collection: "servicedesk", Source: "sync"}, b.store.articles["acme/solution-1"])
	require.Equal(t, "Solution 2", b.store.articles["acme/solution-2"].Title)

	b.desk.solutions = b.desk.solutions[:2]
	b.desk.solutions[0].Body = "new"
	res, err = b.SyncSolutions(t.Context(), "acme", nil)
	require.NoError(t, err)
	require.Equal(t, Counts{Listed: 2, Updated: 1, Unchanged: 1, Removed: 2}, res.Counts)
	require.Contains(t, b.store.articles, "acme/mine", "other collections are left alone")
	require.Contains(t, b.store.articles, "other/solution-9", "and other tenants")
}

func TestSolutionsRemoveNothingUnlessTheWholeListWasRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.desk.solutions = []Solution{{ID: "1", Body: "x"}, {ID: "2", Body: "x"}, {ID: "3", Body: "x"}, {ID: "4", Body: "x"}}
	_, err := b.SyncSolutions(t.Context(), "acme", nil)
	require.NoError(t, err)
	b.desk.faults = []error{nil, fault.New(fault.Unavailable, "away")}
	res, err := b.SyncSolutions(t.Context(), "acme", nil)
	require.Error(t, err)
	require.Zero(t, res.Removed)
	require.Len(t, b.store.articles, 4)
}
