package db_test

import (
	"log/slog"
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
	for name, weaken := range map[string]string{
		"not enabled":         `ALTER TABLE ticket_history DISABLE ROW LEVEL SECURITY`,
		"not forced":          `ALTER TABLE ticket_history NO FORCE ROW LEVEL SECURITY`,
		"no policy":           `DROP POLICY tenant_isolation ON ticket_history`,
		"a second permissive": `CREATE POLICY more ON ticket_history FOR SELECT USING (true)`,
		"a second one alike":  `CREATE POLICY more ON ticket_history USING ` + isolation + ` WITH CHECK ` + isolation,
		"no WITH CHECK":       `DROP POLICY tenant_isolation ON ticket_history; CREATE POLICY tenant_isolation ON ticket_history USING ` + isolation,
		"for reads only":      `DROP POLICY tenant_isolation ON ticket_history; CREATE POLICY tenant_isolation ON ticket_history FOR SELECT USING ` + isolation,
		"only restrictive":    `DROP POLICY tenant_isolation ON ticket_history; CREATE POLICY tenant_isolation ON ticket_history AS RESTRICTIVE USING ` + isolation + ` WITH CHECK ` + isolation,
		"another condition":   `ALTER POLICY tenant_isolation ON ticket_history USING (true)`,
		"another check":       `ALTER POLICY tenant_isolation ON ticket_history WITH CHECK (true)`,
		"open when unset":     `ALTER POLICY tenant_isolation ON ticket_history USING (coalesce(current_setting('app.current_tenant_id', true), '') IN ('', tenant_id))`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			require.NoError(t, d.CheckPolicies(t.Context()))
			run(t, d.OwnerURL, weaken)
			err := d.CheckPolicies(t.Context())
			require.True(t, fault.Is(err, fault.Forbidden), "%v", err)
			require.ErrorContains(t, err, "ticket_history")
			require.NotContains(t, err.Error(), "tenant_configs", "only what is insecure is named")
		})
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
