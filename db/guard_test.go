package db_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

func TestCheckRoleRefusesWhomThePoliciesDoNotBind(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	require.NoError(t, d.CheckRole(t.Context()))
	check := func(url, why string) {
		t.Helper()
		err := open(t, url, 2).CheckRole(t.Context())
		require.True(t, fault.Is(err, fault.Forbidden), "%v", err)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "aiagents migrate up", "the message names the way out")
	}
	check(d.AdminURL, "is a superuser")
	check(d.OwnerURL, "owns tenant tables")
	_, bypass := newRole(t, d, "BYPASSRLS")
	check(bypass, "has BYPASSRLS")
	become, asMember := newRole(t, d, "NOINHERIT")
	run(t, d.AdminURL, `GRANT aiagents_owner TO `+pgx.Identifier{become}.Sanitize())
	check(asMember, "owns tenant tables")
	power, _ := newRole(t, d, "BYPASSRLS")
	disguised, asDisguised := newRole(t, d, "NOINHERIT")
	run(t, d.AdminURL, `GRANT `+pgx.Identifier{power}.Sanitize()+` TO `+pgx.Identifier{disguised}.Sanitize())
	check(asDisguised, "is a member of a role that is a superuser or has BYPASSRLS")
	_, plain := newRole(t, d, "")
	require.NoError(t, open(t, plain, 2).CheckRole(t.Context()))
}

const isolation = `(tenant_id = current_setting('app.current_tenant_id', true))`

func TestCheckPoliciesSeesEveryWayToBeInsecure(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	var tables []string
	for _, tab := range tenantTables(t, d.OwnerURL) {
		if tab.name != "audit_log" { // it has policies of its own besides
			tables = append(tables, tab.name)
		}
	}
	weakenings := []string{
		`ALTER TABLE x DISABLE ROW LEVEL SECURITY`,
		`ALTER TABLE x NO FORCE ROW LEVEL SECURITY`,
		`DROP POLICY tenant_isolation ON x`,
		`CREATE POLICY more ON x FOR SELECT USING (true)`,
		`CREATE POLICY more ON x USING ` + isolation + ` WITH CHECK ` + isolation,
		`DROP POLICY tenant_isolation ON x; CREATE POLICY tenant_isolation ON x USING ` + isolation,
		`DROP POLICY tenant_isolation ON x; CREATE POLICY tenant_isolation ON x FOR SELECT USING ` + isolation,
		`DROP POLICY tenant_isolation ON x; CREATE POLICY tenant_isolation ON x AS RESTRICTIVE USING ` + isolation + ` WITH CHECK ` + isolation,
		`ALTER POLICY tenant_isolation ON x USING (true)`,
		`ALTER POLICY tenant_isolation ON x WITH CHECK (true)`,
		// The classic "helpful" fallback: open when no tenant is set.
		`ALTER POLICY tenant_isolation ON x USING (coalesce(current_setting('app.current_tenant_id', true), '') IN ('', tenant_id))`,
	}
	require.NoError(t, d.CheckPolicies(t.Context()))
	require.GreaterOrEqual(t, len(tables), len(weakenings), "each weakening needs a table of its own")
	for i, weaken := range weakenings {
		run(t, d.OwnerURL, strings.NewReplacer("ON x", "ON "+tables[i], "TABLE x", "TABLE "+tables[i]).Replace(weaken))
		err := d.CheckPolicies(t.Context())
		require.True(t, fault.Is(err, fault.Forbidden), "%v", err)
		named := strings.Split(strings.TrimSuffix(strings.TrimPrefix(err.Error(), "row-level security is not in force on: "), ". Run `aiagents migrate up`"), ", ")
		require.ElementsMatch(t, tables[:i+1], named, "after %s", weaken)
	}
}

// A table that a later migration adds and forgets to protect stops the migration, not a review.
func TestAForgottenTableFailsTheMigration(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	run(t, d.OwnerURL, `CREATE TABLE forgotten (tenant_id text NOT NULL, word text)`)
	require.ErrorContains(t, d.CheckPolicies(t.Context()), "forgotten")
	_, err := db.MigrateUp(t.Context(), d.OwnerURL, d.AppURL, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "forgotten")
	run(t, d.OwnerURL, `CREATE TABLE parts (tenant_id text NOT NULL, word text) PARTITION BY LIST (tenant_id);
		CREATE TABLE part PARTITION OF parts FOR VALUES IN ('acme');
		ALTER TABLE parts ENABLE ROW LEVEL SECURITY; ALTER TABLE parts FORCE ROW LEVEL SECURITY;
		CREATE POLICY tenant_isolation ON parts USING `+isolation+` WITH CHECK `+isolation)
	require.Regexp(t, `forgotten, part\.`, d.CheckPolicies(t.Context()).Error(), "a partition can be read past its parent's policy")
}
