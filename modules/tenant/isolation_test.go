package tenant_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db"
	"aiagents/db/dbtest"
)

func TestATenantSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	create(t, m, "bolt")
	for _, table := range []string{"tenant_configs", "audit_log"} {
		require.NoError(t, d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			var own, foreign int
			require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE tenant_id = 'acme'),
				count(*) FILTER (WHERE tenant_id <> 'acme') FROM `+table).Scan(&own, &foreign))
			require.Equal(t, 1, own, table)
			require.Zero(t, foreign, table)
			return nil
		}))
		require.NoError(t, d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			var all int
			require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&all))
			require.Zero(t, all, "%s without a tenant", table)
			return nil
		}))
	}
	for _, sql := range []string{
		`INSERT INTO audit_log (tenant_id, actor, action) VALUES ('bolt', 'acme', 'x')`,
		`UPDATE tenant_configs SET tenant_id = 'bolt'`,
	} {
		err := d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		require.True(t, db.HasSQLState(err, "42501"), "%s: %v", sql, err)
	}
	require.NoError(t, d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM tenant_configs WHERE tenant_id = 'bolt'`)
		require.Zero(t, tag.RowsAffected())
		return err
	}))
}
