package systems

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

const sample = `ip,hostname,role,location,os,MAC
10.2.3.4,FS-01.corp.example,file server,Rack 1,Windows Server 2022,00-1A-2B-3C-4D-5E
10.2.4.4,FS-01.corp.example,file server,Rack 1,Windows Server 2022,
10.2.3.5,FS-02,file server,Rack 2,,
2001:db8::7,web-07.corp.example,web server,,Debian 13,
10.2.3.0/24,Office,network,Building A,,
10.2.0.0/16,Campus,network,,,
10.9.9.9,mail,mail server,,,
,NB-114,notebook,,,
2001:db8:1::/48,,network,Branch,,
`

type bench struct {
	inventory *Inventory
	database  *dbtest.Database
}

func setup(t *testing.T, tenantID, file string) bench {
	t.Helper()
	database := dbtest.New(t)
	b := bench{inventory: New(database.DB), database: database}
	if file != "" {
		report := b.load(t, tenantID, file, ImportOptions{})
		require.Empty(t, report.Errors)
	}
	return b
}

func (b bench) load(t *testing.T, tenantID, file string, opts ImportOptions) Report {
	t.Helper()
	report, err := b.inventory.Import(t.Context(), tenantID, strings.NewReader(file), opts, nil)
	require.NoError(t, err)
	require.Equal(t, report.Rows, report.Added+report.Changed+report.Unchanged+report.Rejected)
	return report
}

// lookup gives the answer as "how id ip matchedBy", which is what most tests are about.
func (b bench) lookup(t *testing.T, tenantID, text string) []string {
	t.Helper()
	found, err := b.inventory.Lookup(t.Context(), tenantID, text)
	require.NoError(t, err)
	var lines []string
	for _, s := range found {
		line := fmt.Sprintf("%s %s %s <%s>", s.How, s.ID, s.IP, s.MatchedBy)
		if s.Retired {
			line += " retired"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLookup(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", sample)
	for text, want := range map[string][]string{
		"10.2.3.4 is slow":                    {"address S-fs-01.corp.example 10.2.3.4 <10.2.3.4>"},
		"10.2.4.4 is slow":                    {"address S-fs-01.corp.example 10.2.4.4 <10.2.4.4>"},
		"Is fs-01 slow?":                      {"name S-fs-01.corp.example 10.2.3.4 <fs-01>"},
		`\\FS-01\share and 10.2.4.4`:          {"address S-fs-01.corp.example 10.2.4.4 <10.2.4.4, FS-01>"},
		"FS-01.CORP.EXAMPLE.":                 {"name S-fs-01.corp.example 10.2.3.4 <FS-01.CORP.EXAMPLE>"},
		"fs-01.other.example":                 {"unknown S-fs-01.other.example  <fs-01.other.example>"},
		"fs-02.corp.example":                  {"name S-fs-02 10.2.3.5 <fs-02.corp.example>"},
		"It is FS-02.Please help with FS-02":  {"name S-fs-02 10.2.3.5 <FS-02>"},
		"nothing from 10.2.3.77":              {"network S-10.2.3.0/24 10.2.3.0/24 <10.2.3.77>"},
		"nothing from 10.2.3.77 or 10.2.3.78": {"network S-10.2.3.0/24 10.2.3.0/24 <10.2.3.77, 10.2.3.78>"},
		"nothing from 10.2.200.1":             {"network S-10.2.0.0/16 10.2.0.0/16 <10.2.200.1>"},
		"nothing from 172.16.1.1":             {"unknown S-172.16.1.1 172.16.1.1 <172.16.1.1>"},
		"127.0.0.1 and 169.254.3.4 and ::1":   nil,
		"[2001:DB8::7]:443":                   {"address S-web-07.corp.example 2001:db8::7 <2001:DB8::7>"},
		"2001:db8:1::99 is new":               {"network S-2001:db8:1::/48 2001:db8:1::/48 <2001:db8:1::99>"},
		"::ffff:10.2.3.4":                     {"address S-fs-01.corp.example 10.2.3.4 <::ffff:10.2.3.4>"},
		"MAC 001a.2b3c.4d5e":                  {"address S-fs-01.corp.example 10.2.3.4 <001a.2b3c.4d5e>"},
		"MAC 001a.2b3c.ffff":                  {"unknown S-00:1a:2b:3c:ff:ff  <001a.2b3c.ffff>"},
		"my notebook nb-114":                  {"name S-nb-114  <nb-114>"},
		"my mail is slow since FS-02 reboot":  {"name S-fs-02 10.2.3.5 <FS-02>", "name S-mail 10.9.9.9 <mail>"},
		"anna@mail.example wrote":             nil,
		"mail@corp.example wrote":             nil,
		"FS-03 is new, UTF-8 is not":          {"unknown S-fs-03  <FS-03>"},
		"10.2.3.0/24 is down": {
			"network S-10.2.3.0/24 10.2.3.0/24 <10.2.3.0/24>",
			"network S-fs-01.corp.example 10.2.3.4 <10.2.3.0/24>",
			"network S-fs-02 10.2.3.5 <10.2.3.0/24>",
		},
		"192.168.7.0/24 is down": {"unknown S-192.168.7.0/24 192.168.7.0/24 <192.168.7.0/24>"},
		"version 10.2.3.4 of FS": nil,
		"it is an ordinary day":  nil,
		"":                       nil,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, b.lookup(t, "acme", text))
		})
	}
}

func TestLookupGivesWhatTheInventoryHas(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", sample)
	found, err := b.inventory.Lookup(t.Context(), "acme", "10.2.3.4")
	require.NoError(t, err)
	require.Equal(t, []evidence.System{{
		ID: "S-fs-01.corp.example", Hostname: "FS-01.corp.example", IP: "10.2.3.4", Role: "file server", Location: "Rack 1",
		Metadata:  map[string]string{"os": "Windows Server 2022", "mac": "00-1A-2B-3C-4D-5E", MetaOtherAddresses: "10.2.4.4"},
		MatchedBy: "10.2.3.4", How: "address",
	}}, found)
}

func TestLookupSeesOneTenantOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", sample)
	b.load(t, "globex", "ip,hostname\n10.2.3.4,OTHER-1\n", ImportOptions{})
	require.Equal(t, []string{"address S-other-1 10.2.3.4 <10.2.3.4>"}, b.lookup(t, "globex", "10.2.3.4, FS-01, FS-03"))
	require.Equal(t, []string{"unknown S-10.2.3.4 10.2.3.4 <10.2.3.4>"}, b.lookup(t, "nobody", "10.2.3.4, FS-01"))
	_, err := b.inventory.Lookup(t.Context(), "", "10.2.3.4")
	require.ErrorIs(t, err, db.ErrNoTenant)
}

func TestLookupIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", sample)
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "10.77.%d.%d word%d ", i/250, i%250, i)
	}
	text.WriteString(strings.Repeat("ä", maxTextBytes))
	found := b.lookup(t, "acme", "FS-02 "+text.String())
	require.Len(t, found, maxSystems)
	require.Equal(t, "name S-fs-02 10.2.3.5 <FS-02>", found[0])
}

func TestRetiredHosts(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.1,OLD-1\n10.0.0.2,FS-01\n10.0.0.3,FS-02\n")

	report := b.load(t, "acme", "ip,hostname\n10.0.0.9,FS-01\n10.0.0.3,FS-02\n", ImportOptions{})
	require.Zero(t, report.Retired, "a re-import with fewer hosts retires nothing unless it is told to")
	require.Equal(t, []string{"name S-old-1 10.0.0.1 <OLD-1>"}, b.lookup(t, "acme", "OLD-1"))

	report = b.load(t, "acme", "ip,hostname\n10.0.0.9,FS-01\n10.0.0.3,FS-02\n", ImportOptions{Prune: true})
	require.Equal(t, Report{Rows: 2, Unchanged: 2, Retired: 2}, report)
	require.Equal(t, []string{"name S-old-1 10.0.0.1 <OLD-1>" + " retired"}, b.lookup(t, "acme", "OLD-1"))
	require.Equal(t, []string{"address S-old-1 10.0.0.1 <10.0.0.1> retired"}, b.lookup(t, "acme", "10.0.0.1"))

	// The host lives on under another address: it is not retired, its old address is.
	found, err := b.inventory.Lookup(t.Context(), "acme", "10.0.0.2")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "S-fs-01", found[0].ID)
	require.Equal(t, "10.0.0.9", found[0].IP)
	require.False(t, found[0].Retired)
	require.Equal(t, map[string]string{MetaFormerAddress: "10.0.0.2"}, found[0].Metadata)

	// A live host on the address of a retired one hides it; an import brings a retired one back.
	b.load(t, "acme", "ip,hostname\n10.0.0.1,NEW-1\n", ImportOptions{})
	require.Equal(t, []string{"address S-new-1 10.0.0.1 <10.0.0.1>"}, b.lookup(t, "acme", "10.0.0.1"))
	report = b.load(t, "acme", "ip,hostname\n10.0.0.1,OLD-1\n", ImportOptions{})
	require.Equal(t, Report{Rows: 1, Changed: 1}, report)
	require.Equal(t, []string{"name S-old-1 10.0.0.1 <OLD-1>"}, b.lookup(t, "acme", "OLD-1"))
}

// Each look-up must use its index as the app role: under row-level security the planner refuses operators that are not
// leakproof. The last query shows that the test would notice.
func TestLookupUsesIndexesUnderRowLevelSecurity(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "")
	fill(t, b, "acme", 50_000)
	fill(t, b, "globex", 10_000)
	q := questionsOf(scan("10.20.30.40 2001:db8::1"))
	check := func(state string) {
		for name, query := range map[string]struct {
			sql   string
			args  []any
			index string
			cond  string
		}{
			"address":  {byAddress, []any{q.prefixes()}, "system_inventory_address", "(ip_address = q.key)"},
			"within":   {withinNetwork, []any{"10.20.30.0/32", "10.20.30.255/32"}, "system_inventory_address", "(ip_address <= "},
			"hostname": {byHostname, []any{[]string{"host-7.corp.example", "x"}}, "system_inventory_host_address", "(hostname_key = q.key)"},
			"short":    {byShortName, []any{[]string{"host-7", "x"}}, "system_inventory_short_name", "(short_name_key = q.key)"},
			"mac":      {byMAC, []any{[]string{"00:1a:2b:3c:4d:5e"}}, "system_inventory_mac", "(mac_key = q.key)"},
			"stem":     {familiarStems, []any{[]string{"host-"}, []string{"host-~"}}, "system_inventory_short_name", "(short_name_key < s.last)"},
		} {
			plan := explain(t, b, query.sql, append([]any{"acme"}, query.args...)...)
			require.Contains(t, plan, query.index, "%s, %s", name, state)
			require.Contains(t, indexCondition(plan), query.cond, "%s, %s:\n%s", name, state, plan)
		}
	}
	check("without statistics")
	owner, err := pgx.Connect(t.Context(), b.database.OwnerURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Close(context.Background())) }()
	_, err = owner.Exec(t.Context(), `ANALYZE system_inventory`)
	require.NoError(t, err)
	check("with statistics")
	plan := explain(t, b, selectEntry+`ip_address <<= $2::inet`, "acme", "10.20.30.0/24")
	require.NotContains(t, indexCondition(plan), "<<=", plan)
}

func fill(t *testing.T, b bench, tenantID string, n int) {
	t.Helper()
	err := b.database.InTenantTx(t.Context(), tenantID, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO system_inventory (tenant_id, ip_address, hostname, hostname_key, short_name_key, role)
			SELECT $1, '10.0.0.0'::inet + i, 'HOST-' || i || '.corp.example', 'host-' || i || '.corp.example', 'host-' || i, 'server'
			FROM generate_series(1, $2::int) AS i`, tenantID, n)
		return err
	})
	require.NoError(t, err)
}

func explain(t *testing.T, b bench, sql string, args ...any) string {
	t.Helper()
	var plan []string
	err := b.database.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "EXPLAIN "+sql, args...)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}

func indexCondition(plan string) string {
	var conditions []string
	for line := range strings.Lines(plan) {
		if strings.Contains(line, "Index Cond") {
			conditions = append(conditions, line)
		}
	}
	return strings.Join(conditions, "")
}

func BenchmarkLookup60000Hosts(b *testing.B) {
	database := dbtest.New(b)
	inventory := New(database.DB)
	var file strings.Builder
	file.WriteString("ip,hostname,role,location\n")
	for i := range 60_000 {
		fmt.Fprintf(&file, "10.%d.%d.%d,HOST-%d.corp.example,server,Rack %d\n", i/65536, i/256%256, i%256, i, i%40)
	}
	_, err := inventory.Import(b.Context(), "acme", strings.NewReader(file.String()), ImportOptions{}, nil)
	require.NoError(b, err)
	text := "The users of host-4711 and 10.0.33.7 cannot reach HOST-99999 or 172.16.3.4. " + strings.Repeat("Some more words that nobody asked for. ", 40)
	for b.Loop() {
		found, err := inventory.Lookup(b.Context(), "acme", text)
		require.NoError(b, err)
		require.Len(b, found, 4)
	}
}

func TestLookupFailsAsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "")
	b.database.Close()
	_, err := b.inventory.Lookup(t.Context(), "acme", "10.2.3.4")
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
}
