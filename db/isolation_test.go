package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
)

// The two tenants of these tests. The attacker knows every value of the victim's rows.
const (
	victim   = "acme"
	attacker = "mallory"
)

// withoutTenant are the tables that have no tenant_id, with the reason why each may lack one.
var withoutTenant = map[string]string{
	"tenant_directory":  "ids of tenants and nothing else, so that commands can walk them",
	"worker_heartbeats": "workers serve all tenants",
	"database_lineage":  "tells which database this is, and nothing else",
	"housekeeping_runs": "tasks serve all tenants, and a run keeps nothing of one but its id in an error",
	"schema_migrations": "the version of the schema",
	"river_client":      "River's own", "river_client_queue": "River's own", "river_leader": "River's own",
	"river_migration": "River's own", "river_notification": "River's own", "river_queue": "River's own",
	"river_job": "arguments hold ids only, see app/security_secrets_test.go",
}

// examples are values for columns that take neither a value of byType nor the first one that a CHECK lists.
var examples = map[string]string{}

// byType are the example values of all other columns. All rows share them, so that keys collide and foreign keys match.
var byType = map[string]string{
	"text": "x", "uuid": "11111111-1111-4111-8111-111111111111", "bytea": `\x01`, "integer": "1", "bigint": "1",
	"boolean": "true", "timestamp with time zone": "2026-11-23T00:00:00Z", "jsonb": "{}", "text[]": "{}", "inet": "10.0.0.1",
	"double precision": "1", "date": "2026-11-23", "smallint": "1", "real": "1",
}

// table is what the catalogue knows about a tenant table.
type table struct {
	name    string
	columns []column
	parents []string
}

type column struct {
	Name, Type string
	Generated  bool
	Listed     *string // the first value that a CHECK allows
}

// tenantTables lists every table with a tenant_id, parents before their children.
func tenantTables(t *testing.T, url string) []table {
	t.Helper()
	var tables []table
	for _, name := range query[string](t, url, `
		SELECT c.relname::text FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1`) {
		rows, err := connect(t, url).Query(t.Context(), `
			SELECT attname::text, format_type(atttypid, atttypmod), attgenerated <> '',
			       (SELECT (regexp_match(pg_get_constraintdef(k.oid), '= ANY \(+ARRAY\[''([^'']*)''::text'))[1]
			                 FROM pg_constraint k WHERE k.conrelid = attrelid AND k.contype = 'c' AND k.conkey = ARRAY[attnum]
			                 ORDER BY 1 LIMIT 1)
			FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, pgx.Identifier{name}.Sanitize())
		require.NoError(t, err)
		columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
		require.NoError(t, err)
		parents := query[string](t, url, `SELECT DISTINCT confrelid::regclass::text FROM pg_constraint
			WHERE contype = 'f' AND conrelid = $1::regclass AND confrelid <> conrelid`, pgx.Identifier{name}.Sanitize())
		tables = append(tables, table{name: name, columns: columns, parents: parents})
	}
	var sorted []table
	placed := map[string]bool{"tenant_directory": true}
	for len(sorted) < len(tables) {
		before := len(sorted)
		for _, tab := range tables {
			if !placed[tab.name] && !slices.ContainsFunc(tab.parents, func(p string) bool { return !placed[p] }) {
				sorted, placed[tab.name] = append(sorted, tab), true
			}
		}
		require.Greater(t, len(sorted), before, "foreign keys of the tenant tables form a circle")
	}
	return sorted
}

// insert is a statement that adds the example row for a tenant, with every column given, so that all its keys are known.
func (tab table) insert(t *testing.T, tenant string) string {
	t.Helper()
	var names, values []string
	for _, c := range tab.columns {
		if c.Generated {
			continue
		}
		value, ok := examples[tab.name+"."+c.Name]
		switch {
		case c.Name == "tenant_id":
			value, ok = tenant, true
		case !ok && c.Listed != nil:
			value, ok = *c.Listed, true
		case !ok:
			value, ok = byType[c.Type]
		}
		require.True(t, ok, "column %s.%s has the type %s: give it a value in byType or examples", tab.name, c.Name, c.Type)
		names = append(names, pgx.Identifier{c.Name}.Sanitize())
		values = append(values, "'"+value+"'")
	}
	return fmt.Sprintf(`INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)`, tab.name, strings.Join(names, ", "), strings.Join(values, ", "))
}

// tenants makes the example rows of both tenants, as the app role.
func tenants(t *testing.T, d *dbtest.Database, tables []table) {
	t.Helper()
	run(t, d.AppURL, `INSERT INTO tenant_directory (id) VALUES ($1), ($2)`, victim, attacker)
	for _, tenant := range []string{victim, attacker} {
		for _, tab := range tables {
			err := d.InTenantTx(t.Context(), tenant, func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, tab.insert(t, tenant))
				return err
			})
			require.NoError(t, err, "the example row of %s does not fit: give its columns values in examples", tab.name)
		}
	}
	run(t, d.OwnerURL, `ANALYZE`)
}

// attack tries every way to another tenant's rows of one table, and returns what it got at.
func attack(t *testing.T, d *db.DB, tab table) []string {
	t.Helper()
	var leaks []string
	leak := func(format string, args ...any) { leaks = append(leaks, tab.name+": "+fmt.Sprintf(format, args...)) }
	// Each attempt has a transaction of its own, which is taken back.
	attempt := func(tenant, sql string) (int64, error) {
		var affected int64
		err := inTx(t.Context(), d, tenant, func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, sql)
			affected = tag.RowsAffected()
			if err != nil {
				return err
			}
			return errTakeBack
		})
		if errors.Is(err, errTakeBack) {
			err = nil
		}
		return affected, err
	}
	nothing := func(tenant, what, sql string) {
		if n, err := attempt(tenant, sql); (err == nil && n != 0) || (err != nil && !refused(err)) {
			leak("%s as %q reached %d rows, error %v", what, tenant, n, err)
		}
	}
	denied := func(tenant, what, sql string) {
		if n, err := attempt(tenant, sql); err == nil || !refused(err) {
			leak("%s as %q was not refused: %d rows, error %v", what, tenant, n, err)
		}
	}
	own, err := attempt(attacker, `SELECT 1 FROM `+tab.name)
	if err != nil || own != 1 {
		leak("a tenant reaches %d rows instead of its one, error %v", own, err)
	}
	for _, tenant := range []string{attacker, ""} {
		nothing(tenant, "select", `SELECT 1 FROM `+tab.name+` WHERE tenant_id = '`+victim+`'`)
		nothing(tenant, "select for update", `SELECT 1 FROM `+tab.name+` WHERE tenant_id <> '`+attacker+`' FOR UPDATE`)
		nothing(tenant, "join", `SELECT 1 FROM tenant_directory d JOIN `+tab.name+` x ON x.tenant_id = d.id WHERE d.id = '`+victim+`'`)
		nothing(tenant, "statistics", `SELECT 1 FROM pg_stats WHERE tablename = '`+tab.name+`' AND attname = 'tenant_id'`)
		nothing(tenant, "update", `UPDATE `+tab.name+` SET tenant_id = tenant_id WHERE tenant_id = '`+victim+`'`)
		nothing(tenant, "delete", `DELETE FROM `+tab.name+` WHERE tenant_id = '`+victim+`'`)
		denied(tenant, "insert", strings.Replace(tab.insert(t, victim), "'x'", "'y'", 1))
		denied(tenant, "insert of an existing row", tab.insert(t, victim))
		denied(tenant, "upsert", tab.insert(t, victim)+` ON CONFLICT DO NOTHING`)
		denied(tenant, "row_security off", `SET LOCAL row_security = off; SELECT 1 FROM `+tab.name)
		denied(tenant, "truncate", `TRUNCATE `+tab.name+` CASCADE`)
	}
	denied(attacker, "giving a row away", `UPDATE `+tab.name+` SET tenant_id = '`+victim+`'`)
	leaks = append(leaks, probeKeys(t, d, tab)...)
	return leaks
}

// probeKeys inserts the victim's key values as the attacker. With the attacker's own row away, each must go in as if the
// victim's were not there: an error, or a row that is skipped, would tell that the victim has it.
func probeKeys(t *testing.T, d *db.DB, tab table) (leaks []string) {
	t.Helper()
	for _, conflict := range []string{"", " ON CONFLICT DO NOTHING"} {
		err := inTx(t.Context(), d, attacker, func(ctx context.Context, tx pgx.Tx) error {
			// The audit log lets nobody make room in it; TestEveryKeyStartsWithTheTenant covers its key.
			if _, err := tx.Exec(ctx, `DELETE FROM `+tab.name); err != nil {
				return fmt.Errorf("make room: %w", err)
			}
			tag, err := tx.Exec(ctx, tab.insert(t, attacker)+conflict)
			if err == nil && tag.RowsAffected() != 1 {
				err = fmt.Errorf("%d rows", tag.RowsAffected())
			}
			if err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			return errTakeBack
		})
		if !errors.Is(err, errTakeBack) && tab.name != "audit_log" {
			leaks = append(leaks, fmt.Sprintf("%s: a key of another tenant shows:%s %v", tab.name, conflict, err))
		}
	}
	return leaks
}

var errTakeBack = errors.New("taken back")

// inTx is InTenantTx, or InTx for no tenant.
func inTx(ctx context.Context, d *db.DB, tenant string, fn func(context.Context, pgx.Tx) error) error {
	if tenant == "" {
		return d.InTx(ctx, fn)
	}
	return d.InTenantTx(ctx, tenant, fn)
}

// refused reports whether Postgres said that the role may not, which tells nothing about the row.
func refused(err error) bool { return db.HasSQLState(err, "42501") }

func TestNoTenantReachesAnother(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	tables := tenantTables(t, d.OwnerURL)
	require.GreaterOrEqual(t, len(tables), 12)
	tenants(t, d, tables)
	for _, tab := range tables {
		require.Empty(t, attack(t, d.DB, tab))
	}
}

// Each way to weaken one table must show in the attack, or the attack proves nothing.
func TestTheAttackFindsWhatIsOpen(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	tables := tenantTables(t, d.OwnerURL)
	tenants(t, d, tables)
	for _, c := range []struct{ table, weaken, found string }{
		{"ticket_history", `ALTER TABLE ticket_history DISABLE ROW LEVEL SECURITY`, "select as"},
		{"knowledge_sections", `CREATE POLICY more ON knowledge_sections USING (true) WITH CHECK (true)`, "giving a row away"},
		{"system_inventory", `CREATE POLICY more ON system_inventory FOR SELECT USING (true)`, "join as"},
		{"search_segments", `CREATE POLICY more ON search_segments FOR INSERT WITH CHECK (true)`, "insert as"},
		{"search_postings", `CREATE POLICY a ON search_postings FOR DELETE USING (true); CREATE POLICY b ON search_postings FOR SELECT USING (true)`, "delete as"},
		{"search_documents", `UPDATE search_documents SET document_id = 2 WHERE tenant_id = 'mallory';
			CREATE UNIQUE INDEX probe ON search_documents (document_id)`, "a key of another tenant shows"},
		{"model_calls", `GRANT TRUNCATE ON model_calls TO aiagents_app`, "truncate as"},
	} {
		at := slices.IndexFunc(tables, func(tab table) bool { return tab.name == c.table })
		require.NotEqual(t, -1, at)
		require.Empty(t, attack(t, d.DB, tables[at]))
		run(t, d.AdminURL, c.weaken)
		require.Contains(t, strings.Join(attack(t, d.DB, tables[at]), "\n"), c.found)
	}
}

// A foreign key is checked past row-level security. It gives nothing away only if it includes the tenant on both sides.
func TestForeignKeysDoNotTellOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	tables := tenantTables(t, d.OwnerURL)
	tenants(t, d, tables)
	probed := 0
	for _, tab := range tables {
		for _, parent := range tab.parents {
			if parent == "tenant_directory" {
				continue
			}
			probed++
			// The attacker's parent row is gone and the victim's, of the very same key, is still there.
			err := d.InTenantTx(t.Context(), attacker, func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `DELETE FROM `+parent); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, tab.insert(t, attacker))
				return err
			})
			require.True(t, db.HasSQLState(err, db.ForeignKeyViolation), "%s takes a row whose %s belongs to another tenant: %v", tab.name, parent, err)
		}
	}
	require.GreaterOrEqual(t, probed, 3)
	require.Empty(t, openForeignKeys(t, d.OwnerURL))
	// Shown to fail.
	d = dbtest.New(t)
	run(t, d.OwnerURL, `ALTER TABLE system_inventory ADD CONSTRAINT by_id UNIQUE (id);
		CREATE TABLE probe (tenant_id text, system uuid REFERENCES system_inventory (id), directory text REFERENCES tenant_directory (id) ON DELETE CASCADE)`)
	require.Len(t, openForeignKeys(t, d.OwnerURL), 2)
}

// openForeignKeys lists foreign keys that cross tenants: between tenant tables without the tenant, or from a table without
// tenants with an action that row-level security does not see.
func openForeignKeys(t *testing.T, url string) []string {
	t.Helper()
	return query[string](t, url, `
		SELECT format('%s: %s', k.conrelid::regclass, pg_get_constraintdef(k.oid))
		FROM pg_constraint k
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attname = 'tenant_id'
		LEFT JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attname = 'tenant_id'
		WHERE k.contype = 'f' AND CASE
			WHEN b.attnum IS NULL THEN k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r')
			ELSE NOT EXISTS (SELECT 1 FROM unnest(k.conkey, k.confkey) AS pair (child, parent)
			                 WHERE pair.child = a.attnum AND pair.parent = b.attnum) END`)
}

func TestEveryKeyStartsWithTheTenant(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	others := func() []string {
		return query[string](t, d.OwnerURL, `
			SELECT format('%s on %s', i.indexrelid::regclass, i.indrelid::regclass)
			FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'tenant_id' AND NOT a.attisdropped
			JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
			WHERE i.indkey[0] <> a.attnum ORDER BY 1`)
	}
	require.Empty(t, others(), "every index of a tenant table starts with tenant_id: unique ones would tell of other tenants, others read their rows")
	run(t, d.OwnerURL, `CREATE INDEX probe ON ticket_history (ticket_id, tenant_id)`)
	require.Len(t, others(), 1)
}

func TestEveryTableHasATenantOrAReason(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	for _, name := range query[string](t, d.OwnerURL, `SELECT relname::text FROM pg_class c WHERE relkind IN ('r', 'p', 'f')
		AND relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id')`) {
		require.Contains(t, withoutTenant, name, "a table without tenant_id needs a reason in withoutTenant")
	}
}

// bypasses lists what could show rows past the policies: views (which run as their owner), materialised views (which cannot
// have policies), functions that run as their owner, rules, and functions declared leakproof.
func bypasses(t *testing.T, url string) []string {
	t.Helper()
	return query[string](t, url, `
		SELECT format('view %s', c.relname) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
		UNION ALL
		SELECT format('function %s', p.proname) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND (p.prosecdef OR p.proleakproof)
		UNION ALL
		SELECT format('rule %s', r.rulename) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('v', 'm')
		ORDER BY 1`)
}

// declaredBypasses read no table with a tenant_id: River's jobs, which hold ids only, and heartbeats. Each has its leak test
// in scaler_test.go. A view or function over tenant tables may be listed here only together with a leak test of its own.
var declaredBypasses = []string{"function scaler_oldest_job_seconds", "function scaler_queue_depth", "function scaler_workers"}

func TestNothingBypassesThePolicies(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	require.Equal(t, declaredBypasses, bypasses(t, d.OwnerURL))
	run(t, d.OwnerURL, `
		CREATE VIEW probe_view AS SELECT * FROM ticket_history;
		CREATE MATERIALIZED VIEW probe_matview AS SELECT 1;
		CREATE FUNCTION probe_function() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM ticket_history';
		CREATE RULE probe_rule AS ON UPDATE TO worker_heartbeats DO ALSO NOTHING`)
	probes := []string{"function probe_function", "rule probe_rule", "view probe_matview", "view probe_view"}
	require.ElementsMatch(t, append(probes, declaredBypasses...), bypasses(t, d.OwnerURL))
}

// The text of a refusal must not quote the row that it protects.
func TestRefusalsDoNotQuoteRows(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	tables := tenantTables(t, d.OwnerURL)
	tenants(t, d, tables)
	for _, tab := range tables {
		err := d.InTenantTx(t.Context(), attacker, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, tab.insert(t, victim))
			return err
		})
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Empty(t, pg.Detail, tab.name)
	}
}
