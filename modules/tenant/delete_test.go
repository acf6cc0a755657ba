package tenant_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/tenant"
)

// rowsEach is more than one batch.
const rowsEach = 1001

type column struct {
	Name string
	Type string
}

// fill puts rows of each tenant into every table with a tenant_id that the catalogue knows, whichever module owns it. Equal
// numbers make equal keys, so foreign keys hold; CHECK constraints go, as they are not what is tested. It returns the tables.
func fill(t *testing.T, d *dbtest.Database, ids ...string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SET session_replication_role = replica;
		DO $$ DECLARE c record; BEGIN
			FOR c IN SELECT conrelid::regclass AS tab, conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND coninhcount = 0 AND conrelid <> 0
			LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.tab, c.conname); END LOOP; END $$`)
	require.NoError(t, err)
	for _, table := range tables {
		if table == "tenant_configs" || table == "audit_log" {
			continue
		}
		rows, err := conn.Query(t.Context(), `SELECT attname::text AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = '' AND attname <> 'tenant_id'`, table)
		require.NoError(t, err)
		columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[column])
		require.NoError(t, err)
		names, values := []string{"tenant_id"}, []string{"$1::text"}
		for _, c := range columns {
			names, values = append(names, pgx.Identifier{c.Name}.Sanitize()), append(values, valueOf(c.Type))
		}
		for _, id := range ids {
			_, err := conn.Exec(t.Context(), fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) n ON CONFLICT DO NOTHING`,
				pgx.Identifier{table}.Sanitize(), strings.Join(names, ", "), strings.Join(values, ", "), rowsEach), id)
			require.NoError(t, err, table)
		}
	}
	return tables
}

func valueOf(typ string) string {
	switch {
	case strings.HasSuffix(typ, "[]"):
		return "'{}'"
	case typ == "uuid":
		return "md5(n::text)::uuid"
	case typ == "bytea":
		return "decode(md5(n::text), 'hex')"
	case typ == "inet":
		return "'10.0.0.0'::inet + n"
	case typ == "jsonb":
		return "'{}'"
	case typ == "boolean":
		return "false"
	case strings.HasPrefix(typ, "timestamp"), typ == "date":
		return "now()"
	case slices.Contains([]string{"smallint", "integer", "bigint", "real", "double precision", "numeric"}, typ):
		return "n"
	case typ == "text":
		return "n::text"
	}
	return "NULL::" + typ
}

func TestDeleteLeavesNoRowInAnyTableAndNoOtherTenantIsTouched(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	create(t, m, "bolt")
	tables := fill(t, d, "acme", "bolt")
	require.Contains(t, tables, "enhancement_history")
	rowsOf := func(table, id string) int {
		return count(t, d, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()+` WHERE tenant_id = $1`, id)
	}
	before := map[string]int{}
	for _, table := range tables {
		before[table] = rowsOf(table, "bolt")
		require.Positive(t, before[table], table)
		require.Equal(t, before[table], rowsOf(table, "acme"), table)
	}

	deleted, err := m.Delete(t.Context(), actor, "acme")
	require.NoError(t, err)
	for _, table := range tables {
		require.Equal(t, before[table], rowsOf(table, "bolt"), "%s of the other tenant", table)
		switch table {
		case "audit_log":
			require.Equal(t, 3, rowsOf(table, "acme"), "create, delete and purge are told until they expire")
		case "tenant_configs":
			require.Zero(t, rowsOf(table, "acme"))
		default:
			require.Zero(t, rowsOf(table, "acme"), table)
			require.EqualValues(t, before[table], deleted[table], table)
		}
	}
	_, err = m.Get(t.Context(), "acme")
	require.True(t, fault.Is(err, fault.NotFound))
	listings, err := m.List(t.Context())
	require.NoError(t, err)
	require.Len(t, listings, 1)
	entries, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{})
	require.NoError(t, err)
	require.Equal(t, "tenant.purge", entries[0].Action)
}

func TestAnInterruptedDeletionIsResumedAndBlocksTheID(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]func(*testing.T, *tenant.Module){
		"by deleting again": func(t *testing.T, m *tenant.Module) {
			_, err := m.Delete(t.Context(), actor, "acme")
			require.NoError(t, err)
		},
		"by the daily work": func(t *testing.T, m *tenant.Module) {
			_, err := m.Tidy(t.Context(), false)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			m := newModule(t, d.DB, options{})
			create(t, m, "acme")
			fill(t, d, "acme")
			// What the first transaction of a deletion leaves when the process dies behind it.
			inTenant(t, d.DB, "acme", `DELETE FROM tenant_configs WHERE tenant_id = 'acme'`,
				`UPDATE tenant_directory SET deleted_at = now() WHERE id = 'acme'`)
			_, err := m.Create(t.Context(), actor, input("acme"))
			require.True(t, fault.Is(err, fault.Conflict), "%v", err)

			resume(t, m)
			require.Zero(t, count(t, d, `SELECT count(*) FROM enhancement_history`))
			create(t, m, "acme")
			got, err := m.Get(t.Context(), "acme")
			require.NoError(t, err)
			require.Equal(t, "api-key-of-acme", got.APIKey.Reveal())
		})
	}
}

func TestAPurgeSparesAnIDThatIsInUseAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	_, err := m.Delete(t.Context(), actor, "acme")
	require.NoError(t, err)
	create(t, m, "acme")
	fill(t, d, "acme")

	_, err = tenant.Purge(m, t.Context(), "system", "acme")
	require.NoError(t, err)
	_, err = m.Get(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, rowsEach, count(t, d, `SELECT count(*) FROM enhancement_history`))
	require.Zero(t, count(t, d, `SELECT count(*) FROM tenant_directory WHERE purged_at IS NOT NULL`))
}

func TestADeletedTenantIsForgottenWithItsAuditLog(t *testing.T) {
	t.Parallel()
	d, c := dbtest.New(t), newClock()
	m := newModule(t, d.DB, options{clock: c})
	create(t, m, "acme")
	_, err := m.Delete(t.Context(), actor, "acme")
	require.NoError(t, err)
	_, err = m.Tidy(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, 1, count(t, d, `SELECT count(*) FROM tenant_directory`))

	asAdmin(t, d, `UPDATE audit_log SET at = at - interval '91 days'`)
	c.Advance(time.Hour)
	deleted, err := m.Tidy(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acme": 2}, deleted)
	require.Zero(t, count(t, d, `SELECT count(*) FROM tenant_directory`))
}
