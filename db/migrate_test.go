package db_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/db/migrations"
	"aiagents/internal/fault"
)

var quiet = slog.New(slog.DiscardHandler)

// faultsOfNumbers checks the names of migrations: unique numbers from 1 without gaps, each with its way back.
func faultsOfNumbers(names []string) (faults []string) {
	ups, downs := map[string]string{}, map[string]string{}
	for _, name := range names {
		number, rest, _ := strings.Cut(name, "_")
		into := ups
		title, up := strings.CutSuffix(rest, ".up.sql")
		if !up {
			into = downs
			title = strings.TrimSuffix(rest, ".down.sql")
		}
		if old, taken := into[number]; taken {
			faults = append(faults, fmt.Sprintf("%s is both %s and %s", number, old, title))
		}
		into[number] = title
	}
	for n := range max(len(ups), len(downs)) {
		number := fmt.Sprintf("%04d", n+1)
		if ups[number] == "" || ups[number] != downs[number] {
			faults = append(faults, fmt.Sprintf("%s: up %q, down %q", number, ups[number], downs[number]))
		}
	}
	return faults
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	require.Empty(t, faultsOfNumbers(names))
	require.NotEmpty(t, faultsOfNumbers([]string{"0001_a.up.sql", "0001_a.down.sql", "0003_b.up.sql", "0003_b.down.sql"}), "a gap")
	require.NotEmpty(t, faultsOfNumbers([]string{"0001_a.up.sql", "0001_a.down.sql", "0001_b.up.sql", "0001_b.down.sql"}), "a number twice")
	require.NotEmpty(t, faultsOfNumbers([]string{"0001_a.up.sql"}), "no way back")
}

// shape describes a whole schema: columns, constraints, indexes, policies and grants.
func shape(t *testing.T, url string) []string {
	t.Helper()
	return query[string](t, url, `
		SELECT format('column %s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
		UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT format('policy %s %s %s %s %s', tablename, policyname, permissive, qual, with_check) FROM pg_policies WHERE schemaname = 'public'
		UNION ALL SELECT format('grant %s %s', relname, relacl) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
		UNION ALL SELECT format('type %s', typname) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
		UNION ALL SELECT format('function %s', proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		ORDER BY 1`)
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.NewEmpty(t)
	status, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.False(t, status.Behind())
	require.Equal(t, status.Latest, status.Current)
	whole := shape(t, d.AdminURL)
	require.Greater(t, len(whole), 150)

	again, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.Equal(t, status, again)
	require.Equal(t, whole, shape(t, d.AdminURL), "a second up changes nothing")

	// Rows of both tenants do not stand in the way of going back.
	opened := open(t, d.AppURL, 2)
	tenants(t, &dbtest.Database{DB: opened, AppURL: d.AppURL, OwnerURL: d.OwnerURL}, tenantTables(t, d.OwnerURL))
	for n := status.Latest - 1; n >= 0; n-- {
		down, err := db.MigrateDown(t.Context(), d.OwnerURL, 1, quiet)
		require.NoError(t, err)
		require.Equal(t, n, down.Current)
		require.True(t, down.Behind())
	}
	down, err := db.MigrateDown(t.Context(), d.OwnerURL, 0, quiet)
	require.NoError(t, err)
	require.Zero(t, down.RiverCurrent)
	left := query[string](t, d.AdminURL, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v')`)
	require.Subset(t, []string{"schema_migrations", "river_migration"}, left, "nothing is left behind")

	_, err = db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
	require.NoError(t, err)
	require.Equal(t, whole, shape(t, d.AdminURL))
}

func TestManyMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.NewEmpty(t)
	var all errgroup.Group
	for range 4 {
		all.Go(func() error {
			status, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, quiet)
			if err == nil && status.Behind() {
				err = fmt.Errorf("behind: %+v", status)
			}
			return err
		})
	}
	require.NoError(t, all.Wait())
}

// granted lists what a role may do, beyond connecting.
func granted(t *testing.T, url, role string) map[string][]string {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), `
		SELECT c.relname::text, coalesce(array_agg(p ORDER BY p) FILTER (WHERE has_table_privilege($1, c.oid, p)), '{}')
		FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY 1`, role)
	require.NoError(t, err)
	out := map[string][]string{}
	var name string
	var privileges []string
	_, err = pgx.ForEachRow(rows, []any{&name, &privileges}, func() error {
		out[name] = slices.Clone(privileges)
		return nil
	})
	require.NoError(t, err)
	return out
}

func TestAFreshRoleGetsExactlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	role, url := newRole(t, d, "")
	// What somebody granted by hand is taken back.
	run(t, d.OwnerURL, `GRANT ALL ON ALL TABLES IN SCHEMA public TO `+pgx.Identifier{role}.Sanitize())
	_, err := db.MigrateUp(t.Context(), d.OwnerURL, url, quiet)
	require.NoError(t, err)
	readWrite := []string{"DELETE", "INSERT", "SELECT", "UPDATE"}
	special := map[string][]string{
		"audit_log": {"DELETE", "INSERT", "SELECT"}, "schema_migrations": {"SELECT"}, "river_migration": {"SELECT"},
	}
	for table, privileges := range granted(t, d.AdminURL, role) {
		want := readWrite
		if s, ok := special[table]; ok {
			want = s
		}
		require.Equal(t, want, privileges, table)
	}
	quotedRole := "'" + strings.ReplaceAll(role, "'", "''") + "'"
	require.Equal(t, []bool{false}, query[bool](t, d.AdminURL, `SELECT has_schema_privilege(`+quotedRole+`, 'public', 'CREATE')`))
	require.Equal(t, []bool{false}, query[bool](t, d.AdminURL, `SELECT has_database_privilege(`+quotedRole+`, current_database(), 'CREATE')`))
	require.Empty(t, query[string](t, d.AdminURL, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
		AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') AND relkind IN ('r', 'p')`), "nothing for everybody")

	fresh := open(t, url, 2)
	require.NoError(t, fresh.CheckRole(t.Context()))
	require.NoError(t, fresh.CheckPolicies(t.Context()))
	tables := tenantTables(t, d.OwnerURL)
	tenants(t, &dbtest.Database{DB: fresh, AppURL: url, OwnerURL: d.OwnerURL}, tables)
	require.NoError(t, fresh.InTenantTx(t.Context(), "bolt", func(ctx context.Context, tx pgx.Tx) error {
		// Identity columns need their sequences.
		_, err := tx.Exec(ctx, `INSERT INTO ticket_history (tenant_id, ticket_id, source) VALUES ('bolt', '1', 'import')`)
		return err
	}))
	for _, tab := range tables {
		require.Empty(t, attack(t, fresh, tab))
	}
}

func TestTheAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	insert := func(at string) error {
		return d.InTenantTx(t.Context(), victim, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO audit_log (tenant_id, at, actor, action) VALUES ($1, now() - $2::interval, 'test', 'did')`, victim, at)
			return err
		})
	}
	require.NoError(t, insert("1 hour"))
	require.NoError(t, insert("89 days"))
	require.NoError(t, insert("91 days"))
	for _, sql := range []string{`UPDATE audit_log SET actor = 'nobody'`, `UPDATE audit_log SET at = now() - interval '1 year'`, `TRUNCATE audit_log`} {
		err := d.InTenantTx(t.Context(), victim, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		require.True(t, refused(err), "%s: %v", sql, err)
	}
	require.NoError(t, d.InTenantTx(t.Context(), victim, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM audit_log`)
		require.EqualValues(t, 1, tag.RowsAffected(), "only what is older than the shortest retention can be deleted")
		return err
	}))
}

func TestGrantsNameARoleThatIsMissing(t *testing.T) {
	t.Parallel()
	d := dbtest.NewUnopened(t)
	_, err := db.MigrateUp(t.Context(), d.OwnerURL, "postgres://nobody-here@localhost/x", quiet)
	require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	require.ErrorContains(t, err, "nobody-here")
	_, err = db.MigrateUp(t.Context(), d.OwnerURL, "postgres://u:secret-in-url@[bad", quiet)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.NotContains(t, err.Error(), "secret-in-url")
}
