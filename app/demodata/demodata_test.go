package demodata_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"aiagents/app/demodata"
)

var ticketColumns = []string{"ticket_id", "subject", "description", "resolution", "resolved_at", "priority", "tags"}

// now is the day the history ends before; a fixed day keeps the test from
// depending on the clock.
var now = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func TestTickets(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, tenant := range demodata.Tenants() {
		tickets := readTickets(t, tenant)
		require.GreaterOrEqual(t, len(tickets), 200, tenant.ID)
		for _, ticket := range tickets {
			id := ticket["ticket_id"]
			require.Regexp(t, `^[A-Za-z0-9._-]{1,100}$`, id)
			require.Empty(t, seen[id], "ticket %s is there twice", id)
			seen[id] = tenant.ID

			require.LessOrEqual(t, utf8.RuneCountInString(ticket["subject"]), 250, id)
			require.NotEmpty(t, strings.TrimSpace(ticket["subject"]), id)
			require.NotEmpty(t, strings.TrimSpace(ticket["description"]), id)
			require.GreaterOrEqual(t, utf8.RuneCountInString(ticket["resolution"]), 40, id)
			require.Contains(t, []string{"Low", "Medium", "High"}, ticket["priority"], id)
			for tag := range strings.SplitSeq(ticket["tags"], ";") {
				require.Regexp(t, `^[a-z0-9.&-][a-z0-9._-]*$`, tag, id)
			}
			resolved, err := time.Parse(time.RFC3339, ticket["resolved_at"])
			require.NoError(t, err, id)
			require.True(t, resolved.Before(now) && resolved.After(now.AddDate(-2, 0, -1)), "ticket %s: %s", id, resolved)
		}
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	names, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, tenant := range demodata.Tenants() {
		hosts := readCSV(t, tenant.InventoryFile)
		require.GreaterOrEqual(t, len(hosts), 60, tenant.ID)
		v6 := 0
		for _, host := range hosts {
			addr, err := netip.ParseAddr(host["ip"])
			require.NoError(t, err, host["hostname"])
			require.True(t, fictional(addr), "%s must not be a public address", addr)
			require.False(t, addresses[addr], "%s is there twice", addr)
			addresses[addr] = true
			if addr.Is6() {
				v6++
			}
			require.Regexp(t, `^(HC|RL)-[A-Z0-9]+(-[A-Z0-9]+)*$`, host["hostname"])
			require.False(t, names[host["hostname"]], "%s is there twice", host["hostname"])
			names[host["hostname"]] = true
			require.NotEmpty(t, host["role"], host["hostname"])
			require.NotEmpty(t, host["location"], host["hostname"])
			_, err = time.Parse(time.DateOnly, host["warranty_until"])
			require.NoError(t, err, host["hostname"])
			require.Greater(t, len(host), 4, "metadata columns of %s", tenant.ID)
		}
		require.GreaterOrEqual(t, v6, 3, tenant.ID)
	}
}

func TestArticles(t *testing.T) {
	t.Parallel()
	for _, tenant := range demodata.Tenants() {
		titles := map[string]bool{}
		kinds := map[string]int{}
		for file, title := range readTitles(t, tenant) {
			require.NotEmpty(t, title, file)
			require.False(t, titles[title], "title %q is there twice", title)
			titles[title] = true
			kinds[path.Ext(file)]++
		}
		require.GreaterOrEqual(t, len(titles), 40, tenant.ID)
		for _, kind := range []string{".md", ".html", ".txt"} {
			require.Positive(t, kinds[kind], "%s of %s", kind, tenant.ID)
		}
		require.Len(t, kinds, 3, tenant.ID)
	}
}

// A name of one customer in the other's files would make a correct note look
// like a leak, and a leak like a correct note.
func TestCustomersAreDisjoint(t *testing.T) {
	t.Parallel()
	foreign := map[string]*regexp.Regexp{
		"harbor-clinic":       regexp.MustCompile(`(?i)\bRL-|ridgeline|\b172\.1[678]\.|2001:db8:44:`),
		"ridgeline-logistics": regexp.MustCompile(`(?i)\bHC-|harbor|(^|[^.\d])10\.2[012]\.|2001:db8:20:`),
	}
	require.True(t, foreign["harbor-clinic"].MatchString("moved to RL-FILE-01"), "the guard itself")
	for _, tenant := range demodata.Tenants() {
		walk(t, tenant.ID, func(file string, text []byte) {
			require.Empty(t, string(foreign[tenant.ID].Find(text)), file)
		})
	}
}

func TestFilesAreCleanText(t *testing.T) {
	t.Parallel()
	count := 0
	walk(t, ".", func(file string, text []byte) {
		count++
		require.True(t, utf8.Valid(text), file)
		require.Equal(t, -1, dirty(text), "%s has a control or format character", file)
	})
	require.Greater(t, count, 80)
	require.Equal(t, 1, dirty([]byte("a\u202eb")), "the guard itself")
	require.Equal(t, 1, dirty([]byte("a\x1bb")), "the guard itself")
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	perTenant := map[string]int{}
	nothing := 0
	for _, ticket := range demodata.NewTickets() {
		require.False(t, keys[ticket.Key], ticket.Key)
		keys[ticket.Key] = true
		perTenant[ticket.TenantID]++
		require.LessOrEqual(t, utf8.RuneCountInString(ticket.Subject), 250, ticket.Key)
		require.NotEmpty(t, ticket.Description, ticket.Key)
		require.NotEmpty(t, ticket.Requester, ticket.Key)
		if ticket.Expect.Nothing {
			nothing++
			require.Equal(t, demodata.Expectation{Nothing: true}, ticket.Expect, ticket.Key)
			continue
		}
		tenant := tenantByID(t, ticket.TenantID)
		require.NotEmpty(t, ticket.Expect.AnyTicketID, ticket.Key)
		require.Subset(t, column(readTickets(t, tenant), "ticket_id"), ticket.Expect.AnyTicketID, ticket.Key)
		require.Contains(t, column(readCSV(t, tenant.InventoryFile), "hostname"), ticket.Expect.Hostname, ticket.Key)
		titles := readTitles(t, tenant)
		require.True(t, slices.Contains(values(titles), ticket.Expect.ArticleTitle), ticket.Key)
	}
	require.Len(t, perTenant, 2)
	require.Equal(t, 1, nothing)
}

func TestNothingIsKnownOnTheUnknownProblem(t *testing.T) {
	t.Parallel()
	topic := regexp.MustCompile(`(?i)frank|postage|top-up|F-77`)
	for _, ticket := range demodata.NewTickets() {
		if !ticket.Expect.Nothing {
			continue
		}
		require.Regexp(t, topic, ticket.Subject)
		walk(t, ticket.TenantID, func(file string, text []byte) {
			require.Empty(t, string(topic.Find(text)), file)
		})
	}
}

// The expected solved tickets must be about the expected host, or about one
// the description points to; a shuffled id would pass every other test.
func TestExpectedTicketsShareTheProblem(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"clinic-share":      "0x80070035",
		"logistics-share":   "0x80070035",
		"clinic-ultrasound": "HC-US-03",
		"logistics-slow":    "RL-WMS-DB-01",
		"clinic-repository": "HC-REPO-01",
	}
	for _, ticket := range demodata.NewTickets() {
		if ticket.Expect.Nothing {
			continue
		}
		solved := readTickets(t, tenantByID(t, ticket.TenantID))
		for _, id := range ticket.Expect.AnyTicketID {
			i := slices.IndexFunc(solved, func(s map[string]string) bool { return s["ticket_id"] == id })
			text := solved[i]["subject"] + " " + solved[i]["description"] + " " + solved[i]["resolution"]
			require.Contains(t, text, words[ticket.Key], "%s: ticket %s", ticket.Key, id)
		}
	}
}

// Sample text made by swapping nouns in a template would make search look
// better than it is. Two texts are alike when they share half of the three-word
// runs of the shorter one.
func TestTextsAreNotTemplated(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1, overlap(shingles("a b c d"), shingles("A, b c d!")), 0)
	for _, tenant := range demodata.Tenants() {
		tickets := readTickets(t, tenant)
		sets := make([]map[string]bool, len(tickets))
		for i, ticket := range tickets {
			sets[i] = shingles(ticket["description"] + " " + ticket["resolution"])
		}
		alike := 0
		for i := range sets {
			for j := range i {
				if overlap(sets[i], sets[j]) >= 0.5 {
					alike++
				}
			}
		}
		require.LessOrEqual(t, alike, len(tickets)/100, tenant.ID)
	}
}

func tenantByID(t *testing.T, id string) demodata.Tenant {
	t.Helper()
	for _, tenant := range demodata.Tenants() {
		if tenant.ID == id {
			return tenant
		}
	}
	require.Fail(t, "no such tenant", id)
	return demodata.Tenant{}
}

func readTickets(t *testing.T, tenant demodata.Tenant) []map[string]string {
	t.Helper()
	if path.Ext(tenant.TicketsFile) == ".csv" {
		rows := readCSV(t, tenant.TicketsFile)
		requireColumns(t, rows)
		return rows
	}
	dec := json.NewDecoder(bytes.NewReader(read(t, tenant.TicketsFile)))
	var rows []map[string]string
	for {
		var row map[string]string
		err := dec.Decode(&row)
		if err == io.EOF {
			requireColumns(t, rows)
			return rows
		}
		require.NoError(t, err, tenant.TicketsFile)
		rows = append(rows, row)
	}
}

func requireColumns(t *testing.T, rows []map[string]string) {
	t.Helper()
	for _, row := range rows {
		require.Len(t, row, len(ticketColumns))
		for _, name := range ticketColumns {
			require.Contains(t, row, name)
		}
	}
}

// readCSV relies on encoding/csv to refuse a row with too few or too many fields.
func readCSV(t *testing.T, file string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(read(t, file))).ReadAll()
	require.NoError(t, err, file)
	rows := make([]map[string]string, 0, len(records)-1)
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

var htmlTitle = regexp.MustCompile(`<h1>([^<]+)</h1>`)

// readTitles returns file → title: the first heading, or the first line of a
// text file.
func readTitles(t *testing.T, tenant demodata.Tenant) map[string]string {
	t.Helper()
	titles := map[string]string{}
	walk(t, tenant.ArticlesDir, func(file string, text []byte) {
		first, _, _ := strings.Cut(string(text), "\n")
		switch path.Ext(file) {
		case ".md":
			require.True(t, strings.HasPrefix(first, "# "), file)
			titles[file] = strings.TrimPrefix(first, "# ")
		case ".html":
			match := htmlTitle.FindSubmatch(text)
			require.NotNil(t, match, file)
			require.Contains(t, string(text), "<title>"+string(match[1])+"</title>", file)
			titles[file] = string(match[1])
		default:
			titles[file] = first
		}
	})
	return titles
}

func walk(t *testing.T, root string, visit func(file string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(demodata.Files(), root, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			visit(file, read(t, file))
		}
		return err
	})
	require.NoError(t, err, root)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := fs.ReadFile(demodata.Files(), file)
	require.NoError(t, err)
	return text
}

func fictional(addr netip.Addr) bool {
	return addr.Is4() && addr.IsPrivate() || netip.MustParsePrefix("2001:db8::/32").Contains(addr)
}

// dirty returns the byte offset of the first control or invisible format
// character other than line feed and tab, or -1.
func dirty(text []byte) int {
	return bytes.IndexFunc(text, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	})
}

var word = regexp.MustCompile(`[\p{L}\p{N}]+`)

func shingles(text string) map[string]bool {
	words := word.FindAllString(strings.ToLower(text), -1)
	set := map[string]bool{}
	for i := range max(0, len(words)-2) {
		set[strings.Join(words[i:i+3], " ")] = true
	}
	return set
}

func overlap(a, b map[string]bool) float64 {
	shared := 0
	for s := range a {
		if b[s] {
			shared++
		}
	}
	return float64(shared) / float64(max(1, min(len(a), len(b))))
}

func column(rows []map[string]string, name string) []string {
	out := make([]string, 0, len(rows))
	for _, row := range rows {
		out = append(out, row[name])
	}
	return out
}

func values(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
