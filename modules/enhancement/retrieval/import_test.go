package retrieval

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

const history = "\xEF\xBB\xBFticket_id,Subject,description,resolution,resolved_at,priority,tags,owner\n" +
	"1,VPN error 809,\"two\nlines\",Opened UDP 500 on the firewall,2026-03-01T12:00:00Z,High,vpn;network,bob\n" +
	"2,Mail queue stuck,Mail does not leave,Restarted the transport service,yesterday,,,\n" +
	",No id,x,y,,,,\n" +
	"3,Too,few\n" +
	"4,Printer,\"Paper jam,Replaced \"roller\",,,,\n" +
	"5,Disk full,Drive C is full,Cleared the update cache on C,2026-03-01T12:00:00+02:00,Low,,\n"

func importCSV(t *testing.T, s *Store, text string) (Report, error) {
	t.Helper()
	return s.ImportTickets(t.Context(), tenant, CSV, strings.NewReader(text), int64(len(text)), nil)
}

func TestImportTicketsFromCSVKeepsTheGoodRows(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	report, err := importCSV(t, s, history)

	require.NoError(t, err)
	require.Equal(t, 2, report.Added)
	require.Equal(t, []string{"ignored columns: owner"}, report.Warnings)
	require.Equal(t, len(report.Errors), report.Rejected)
	var lines []string
	for _, e := range report.Errors {
		lines = append(lines, e.Error())
	}
	require.Equal(t, []string{
		"line 4: resolved_at must be RFC 3339 with a zone, such as 2026-03-01T14:05:00Z",
		"line 5: ticket_id is empty",
		"line 6: has 3 fields, expected 8",
	}, lines[:3])
	require.Contains(t, lines[3], "line 7: ")
	require.Equal(t, []string{"1"}, similar(t, s, tenant, Query{Subject: "vpn"}))

	again, err := importCSV(t, s, history)
	require.NoError(t, err)
	require.Equal(t, Report{Unchanged: 2, Rejected: report.Rejected, Errors: report.Errors, Warnings: report.Warnings}, again, "a re-run adds nothing")
}

func TestImportTicketsFromJSONL(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	text := `{"ticket_id": 17, "subject": "VPN error 809", "resolution": "Opened UDP 500 on the firewall", "tags": ["a", "b"], "x": 1}
{"ticket_id": "18", "subject": "VPN again", "resolution": "Opened UDP 4500 on the firewall", "tags": "a;b", "resolved_at": null}

not json
{"ticket_id": {}, "subject": "x"}
{"ticket_id": "19", "subject": "` + strings.Repeat("y", maxLine) + `"}
{"ticket_id": "20", "subject": "VPN last", "resolution": "Opened UDP 1701 on the firewall"}`
	report, err := s.ImportTickets(t.Context(), tenant, JSONL, strings.NewReader(text), 0, nil)

	require.NoError(t, err)
	require.Equal(t, 3, report.Added)
	require.Equal(t, []RowError{
		{Line: 4, Reason: "is no JSON object"}, {Line: 5, Reason: "ticket_id must be text"}, {Line: 6, Reason: "is longer than 8 MiB"},
	}, report.Errors)
	require.Equal(t, []string{"ignored columns: x"}, report.Warnings)
	require.ElementsMatch(t, []string{"17", "18", "20"}, similar(t, s, tenant, Query{Subject: "vpn"}))
}

func TestImportTicketsRefusesWhatIsNoHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	for _, text := range []string{"", "a,b\n1,2\n", "ticket_id,ticket_id\n1,2\n"} {
		_, err := importCSV(t, s, text)
		require.True(t, fault.Is(err, fault.Invalid), "%q", text)
	}
	_, err := s.ImportTickets(t.Context(), tenant, "xml", strings.NewReader(""), 0, nil)
	require.True(t, fault.Is(err, fault.Invalid))
}

// generator is an endless file: rows are made as they are read.
type generator struct {
	rows, next int
	buffer     bytes.Buffer
}

func (g *generator) Read(p []byte) (int, error) {
	for g.buffer.Len() < len(p) && g.next < g.rows {
		fmt.Fprintf(&g.buffer, `{"ticket_id":"%d","subject":"Subject %d","description":"%s","resolution":"Restarted it"}`+"\n",
			g.next, g.next%50, strings.Repeat("=", 4200)) // long, and quick to analyse
		g.next++
	}
	if g.buffer.Len() == 0 {
		return 0, io.EOF
	}
	return g.buffer.Read(p)
}

func TestImportTicketsTakesMemoryForABatchNotForAFile(t *testing.T) {
	s := newStore(t, generous())
	const rows = 8000 // 34 MB
	var inUse []uint64
	var done []int64
	report, err := s.ImportTickets(t.Context(), tenant, JSONL, &generator{rows: rows}, 0, func(n, _ int64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		inUse = append(inUse, m.HeapAlloc)
		done = append(done, n)
	})
	require.NoError(t, err)
	require.Equal(t, rows, report.Added)
	require.IsIncreasing(t, done[:len(done)-1])
	require.Less(t, inUse[len(inUse)-1], inUse[0]+8<<20, "bytes in use at the end and after the first batch")
}

func TestImportTicketsStopsWithItsContextAndKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	ctx, cancel := context.WithCancel(t.Context())
	report, err := s.ImportTickets(ctx, tenant, JSONL, &generator{rows: 5000}, 0, func(int64, int64) { cancel() })

	require.ErrorIs(t, err, context.Canceled)
	require.Positive(t, report.Added)
	again, err := s.ImportTickets(t.Context(), tenant, JSONL, &generator{rows: 5000}, 0, nil)
	require.NoError(t, err)
	require.Equal(t, report.Added, again.Unchanged)
	require.Equal(t, 5000, again.Added+again.Unchanged)
}

func TestImportArticles(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	folder := fstest.MapFS{
		"vpn.md":         {Data: []byte("# VPN guide\n\nHow to connect.\n\n## Error 809\n\nOpen UDP 500 and 4500 on the firewall. Then try again.\n")},
		"sub/print.html": {Data: []byte("<html><title>Printing</title><body><p>Load paper in tray two.</p></body></html>")},
		"notes.txt":      {Data: []byte("Mail notes\nThe relay listens on port 25.")},
		"empty.md":       {Data: []byte("  ")},
		"image.png":      {Data: []byte{1}},
		".git/x.md":      {Data: []byte("# hidden")},
	}
	var progress []int64
	load := func() Report {
		report, err := s.ImportArticles(t.Context(), tenant, "docs", folder, func(done, _ int64) { progress = append(progress, done) })
		require.NoError(t, err)
		return report
	}
	first := load()
	require.Equal(t, 3, first.Added)
	require.Equal(t, []RowError{{File: "empty.md", Reason: "has no text"}}, first.Errors)
	require.Len(t, first.Warnings, 1)
	require.Positive(t, progress[0])

	for range 2 {
		found, err := s.SearchArticles(t.Context(), tenant, Query{Subject: "VPN error 809"})
		require.NoError(t, err)
		require.Len(t, found, 1, "one section an article")
		require.Regexp(t, `^KB-[A-Z2-7]{6}$`, found[0].ID)
		require.Equal(t, "VPN guide", found[0].Title)
		require.Equal(t, "Error 809", found[0].Section)
		require.Contains(t, found[0].Excerpt, "Open UDP 500")
		require.Equal(t, "import", found[0].Source)
		foldAll(t, s, tenant)
	}

	delete(folder, "notes.txt")
	folder["vpn.md"] = &fstest.MapFile{Data: []byte("# VPN guide\n\nUse the new client.\n")}
	_, err := s.ImportArticles(t.Context(), tenant, "other", fstest.MapFS{"own.md": {Data: []byte("# Own\n\nrelay")}}, nil)
	require.NoError(t, err)
	second := load()
	require.Equal(t, Report{Updated: 1, Unchanged: 1, Removed: 1, Rejected: 1, Errors: first.Errors, Warnings: first.Warnings}, second)
	found, err := s.SearchArticles(t.Context(), tenant, Query{Subject: "relay 809"})
	require.NoError(t, err)
	require.Len(t, found, 1, "gone are the removed article and the changed section")
	require.Equal(t, "Own", found[0].Title, "another folder's articles stay")
}

func TestImportArticlesRefusesAnEmptyFolder(t *testing.T) {
	t.Parallel()
	s := newStore(t, generous())
	_, err := s.ImportArticles(t.Context(), tenant, "docs", fstest.MapFS{"a.md": {Data: []byte("# A\n\ntext")}}, nil)
	require.NoError(t, err)
	_, err = s.ImportArticles(t.Context(), tenant, "docs", fstest.MapFS{}, nil)
	require.True(t, fault.Is(err, fault.Invalid))
	found, err := s.SearchArticles(t.Context(), tenant, Query{Subject: "text"})
	require.NoError(t, err)
	require.Len(t, found, 1, "nothing was removed")
}
