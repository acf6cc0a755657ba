package tenant_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
)

func TestSecretsOfOtherSystemsAreSealedByName(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	b := newModule(t, d.DB, options{})
	for _, id := range []string{"acme", "other"} {
		_, err := b.Create(t.Context(), actor, input(id))
		require.NoError(t, err)
	}
	require.NoError(t, b.SetSecret(t.Context(), "test", "acme", "zabbix", secret.New("hunter2")))
	got, err := b.Secret(t.Context(), "acme", "zabbix")
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())

	_, err = b.Secret(t.Context(), "other", "zabbix")
	require.True(t, fault.Is(err, fault.NotFound))
	require.True(t, fault.Is(b.SetSecret(t.Context(), "test", "acme", "Not A Name", secret.New("x")), fault.Invalid))
	require.True(t, fault.Is(b.SetSecret(t.Context(), "test", "acme", "empty", secret.Secret{}), fault.Invalid))

	require.NoError(t, b.SetSecret(t.Context(), "test", "acme", "prometheus", secret.New("other-secret")))
	require.NoError(t, d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tenant_secrets a SET sealed = b.sealed FROM tenant_secrets b
			WHERE a.tenant_id = 'acme' AND b.tenant_id = 'acme' AND a.name = 'zabbix' AND b.name = 'prometheus'`)
		return err
	}))
	_, err = b.Secret(t.Context(), "acme", "zabbix")
	require.Error(t, err, "a ciphertext moved to another name does not open")

	list, err := b.Secrets(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.NoError(t, b.DeleteSecret(t.Context(), "test", "acme", "zabbix"))
	require.True(t, fault.Is(b.DeleteSecret(t.Context(), "test", "acme", "zabbix"), fault.NotFound))
}
