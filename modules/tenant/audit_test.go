package tenant_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func TestEveryChangeIsAuditedWithItsFieldsAndNoSecret(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	created := create(t, m, "acme")
	name := "New name"
	_, err := m.Update(t.Context(), "ada", "acme", tenant.UpdateInput{Name: &name})
	require.NoError(t, err)
	_, err = m.SetAPIKey(t.Context(), "ada", "acme", secret.New("another-api-key"))
	require.NoError(t, err)
	rotated, err := m.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{Grace: time.Hour})
	require.NoError(t, err)
	for range 2 { // the second of each changes nothing and leaves no entry
		_, err = m.Disable(t.Context(), actor, "acme")
		require.NoError(t, err)
	}
	for range 2 {
		_, err = m.Enable(t.Context(), actor, "acme")
		require.NoError(t, err)
	}

	entries, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{})
	require.NoError(t, err)
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
		for _, s := range []string{"api-key", created.WebhookSecret.Reveal(), rotated.WebhookSecret.Reveal()} {
			require.NotContains(t, string(e.Detail), s)
		}
	}
	require.Equal(t, []string{
		"tenant.enable", "tenant.disable", "tenant.rotate_secret", "tenant.set_api_key", "tenant.update", "tenant.create",
	}, actions)
	require.JSONEq(t, `{"name":{"from":"Tenant acme","to":"New name"}}`, string(entries[4].Detail))
	require.JSONEq(t, `{"servicedesk_api_key":{"from":"[set]","to":"[set]"}}`, string(entries[3].Detail))
	require.Equal(t, "ada", entries[3].Actor)
	var first map[string]any
	require.NoError(t, json.Unmarshal(entries[5].Detail, &first))
	require.Equal(t, map[string]any{"from": "[not set]", "to": "[set]"}, first["webhook_secret"])
}

func TestAuditIsFiltered(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	create(t, m, "bolt")
	inTenant(t, d.DB, "acme", `INSERT INTO audit_log (tenant_id, at, actor, action) VALUES
		('acme', '2026-01-01Z', 'ada', 'x'), ('acme', '2026-01-02Z', 'bob', 'x'), ('acme', '2026-01-03Z', 'ada', 'y')`)
	for want, f := range map[int]tenant.AuditFilter{
		4: {},
		2: {Actor: "ada"},
		3: {Until: time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC)},
		1: {Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), Action: "x"},
		0: {Action: "z"},
	} {
		entries, err := m.Audit(t.Context(), "acme", f)
		require.NoError(t, err)
		require.Len(t, entries, want, "%+v", f)
	}
	limited, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "tenant.create", limited[0].Action, "the newest comes first")
	_, err = m.Audit(t.Context(), "acme", tenant.AuditFilter{Limit: 1001})
	require.Contains(t, details(t, err), "limit")
}

func TestAnEntryOfAnotherModuleJoinsItsTransaction(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	record := func(fail error) error {
		return d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			detail := map[string]any{"rows": 3, "key": secret.New("canary")}
			require.NoError(t, m.RecordTx(ctx, tx, "acme", "ada", "tickets.import", detail))
			return fail
		})
	}
	require.ErrorIs(t, record(context.Canceled), context.Canceled)
	require.NoError(t, record(nil))

	entries, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{Action: "tickets.import"})
	require.NoError(t, err)
	require.Len(t, entries, 1, "the rolled back act left no entry")
	require.JSONEq(t, `{"rows":3,"key":"[set]"}`, string(entries[0].Detail))
}

// The grants refuse to update the audit log already. This gives the app role the grant, so that the policy stands alone.
func TestTheAuditLogIsAppendOnlyByPolicyToo(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	exec := func(sql string) (affected int64, err error) {
		err = d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, sql)
			affected = tag.RowsAffected()
			return err
		})
		return affected, err
	}
	const update = `UPDATE audit_log SET actor = 'someone else' WHERE tenant_id = 'acme'`
	_, err := exec(update)
	require.True(t, db.HasSQLState(err, "42501"), "%v", err)

	admin, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.Background())) }()
	_, err = admin.Exec(t.Context(), `GRANT UPDATE ON audit_log TO aiagents_app`)
	require.NoError(t, err)
	affected, err := exec(update)
	require.NoError(t, err)
	require.Zero(t, affected, "no row may be updated")

	affected, err = exec(`DELETE FROM audit_log WHERE tenant_id = 'acme'`)
	require.NoError(t, err)
	require.Zero(t, affected, "no row is old enough to be deleted")
	_, err = exec(`TRUNCATE audit_log`)
	require.True(t, db.HasSQLState(err, "42501"), "%v", err)
	_, err = exec(`INSERT INTO audit_log (tenant_id, at, actor, action) VALUES ('acme', now() - interval '91 days', 'ada', 'old')`)
	require.NoError(t, err)
	affected, err = exec(`DELETE FROM audit_log WHERE tenant_id = 'acme'`)
	require.NoError(t, err)
	require.EqualValues(t, 1, affected)
}

func TestTidyKeepsTheAuditLogForItsRetention(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	cfg := tenant.DefaultConfig()
	cfg.AuditRetention = 100 * 24 * time.Hour
	m := newModule(t, d.DB, options{cfg: &cfg})
	create(t, m, "acme")
	inTenant(t, d.DB, "acme", `INSERT INTO audit_log (tenant_id, at, actor, action)
		SELECT 'acme', now() - make_interval(days => 101), 'ada', 'old' FROM generate_series(1, 1500)`,
		`INSERT INTO audit_log (tenant_id, at, actor, action) VALUES ('acme', now() - interval '99 days', 'ada', 'kept')`)

	counted, err := m.Tidy(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"acme": 1500}, counted)
	deleted, err := m.Tidy(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, counted, deleted, "the dry run had deleted nothing")
	entries, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{})
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, "kept", entries[1].Action)
}
