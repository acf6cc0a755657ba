package tenant_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/tenant"
)

func TestSealedFieldsOpenForTheirTenantAndFieldOnly(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	create(t, m, "bolt")
	const field = "desk_connections.access_token"
	sealed, err := m.Seal(t.Context(), "acme", field, []byte("token"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "token")

	plain, err := newModule(t, d.DB, options{}).Open(t.Context(), "acme", field, sealed)
	require.NoError(t, err)
	require.Equal(t, "token", string(plain))
	for _, c := range [][2]string{{"bolt", field}, {"acme", "desk_connections.other"}, {"acme", field + "|1"}} {
		_, err := m.Open(t.Context(), c[0], c[1], sealed)
		require.ErrorContains(t, err, "does not open", "%v", c)
	}
	_, err = m.Seal(t.Context(), "unknown", field, []byte("x"))
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = m.Open(t.Context(), "unknown", field, sealed)
	require.True(t, fault.Is(err, fault.NotFound))
}

func TestSwappedCiphertextsAreRefused(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"between fields": `UPDATE tenant_configs SET servicedesk_api_key_encrypted = webhook_signing_secret_encrypted WHERE tenant_id = 'acme'`,
		"API key of another tenant": `UPDATE tenant_configs SET servicedesk_api_key_encrypted =
			(SELECT servicedesk_api_key_encrypted FROM tenant_configs WHERE tenant_id = 'bolt') WHERE tenant_id = 'acme'`,
		"data key of another tenant": `UPDATE tenant_configs SET data_key_encrypted =
			(SELECT data_key_encrypted FROM tenant_configs WHERE tenant_id = 'bolt') WHERE tenant_id = 'acme'`,
		"everything of another tenant": `UPDATE tenant_configs a SET (data_key_encrypted, servicedesk_api_key_encrypted, webhook_signing_secret_encrypted) =
			(SELECT data_key_encrypted, servicedesk_api_key_encrypted, webhook_signing_secret_encrypted FROM tenant_configs WHERE tenant_id = 'bolt')
			WHERE tenant_id = 'acme'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dbtest.New(t)
			m := newModule(t, d.DB, options{})
			create(t, m, "acme")
			create(t, m, "bolt")
			asAdmin(t, d, sql)

			_, err := m.Fresh(t.Context(), "acme")
			require.True(t, fault.Is(err, fault.Internal), "%v", err)
			require.ErrorContains(t, err, "does not open")
			require.ErrorContains(t, err, "acme")
			_, err = m.Fresh(t.Context(), "bolt")
			require.NoError(t, err, "the others work on")
		})
	}
}

func asAdmin(t testing.TB, d *dbtest.Database, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestALostKeyIsNamedAndStopsThatTenantOnly(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	create(t, newModule(t, d.DB, options{keys: keys(t, "lost")}), "acme")
	m := newModule(t, d.DB, options{keys: keys(t, "k1")})
	create(t, m, "bolt")

	_, err := m.Get(t.Context(), "acme")
	require.ErrorContains(t, err, `encryption key "lost"`)
	require.True(t, fault.Is(err, fault.Internal))
	_, err = m.Get(t.Context(), "bolt")
	require.NoError(t, err)

	result, err := m.RotateKeys(t.Context(), actor, nil)
	require.ErrorContains(t, err, "tenant acme")
	require.Equal(t, tenant.KeyRotation{Total: 2, Current: 1, Failed: 1}, result)
	_, err = m.Delete(t.Context(), actor, "acme")
	require.NoError(t, err, "a tenant can be deleted without its key")
}

func TestKeysRotateOnlineAndResume(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	before := newModule(t, d.DB, options{keys: keys(t, "k1")})
	secrets := map[string]string{}
	var ids []string
	for i := range 8 {
		id := fmt.Sprintf("tenant-%d", i)
		ids = append(ids, id)
		secrets[id] = create(t, before, id).WebhookSecret.Reveal()
	}
	sealed, err := before.Seal(t.Context(), ids[0], "f", []byte("token"))
	require.NoError(t, err)
	both := newModule(t, d.DB, options{keys: keys(t, "k2", "k1")})

	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := ids[i%len(ids)]
				got, err := both.Fresh(context.Background(), id)
				if err != nil || got.WebhookSecret.Reveal() != secrets[id] {
					t.Errorf("read during rotation: %v", err)
					return
				}
			}
		})
	}
	// Interrupted after the third tenant, then run again.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result, err := both.RotateKeys(ctx, actor, func(done, total int) {
		require.Equal(t, 8, total)
		if done == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, result.Rewrapped)
	var steps []int
	result, err = both.RotateKeys(t.Context(), actor, func(done, _ int) { steps = append(steps, done) })
	require.NoError(t, err)
	require.Equal(t, tenant.KeyRotation{Total: 8, Rewrapped: 5, Current: 3}, result)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, steps)
	stop.Store(true)
	readers.Wait()

	after := newModule(t, d.DB, options{keys: keys(t, "k2")})
	for id, want := range secrets {
		got, err := after.Get(t.Context(), id)
		require.NoError(t, err, "the old key may go")
		require.Equal(t, want, got.WebhookSecret.Reveal())
		require.EqualValues(t, 1, got.Version, "nobody's change is in conflict with it")
	}
	plain, err := after.Open(t.Context(), ids[0], "f", sealed)
	require.NoError(t, err)
	require.Equal(t, "token", string(plain))
	_, err = newModule(t, d.DB, options{keys: keys(t, "k1")}).Get(t.Context(), ids[0])
	require.Error(t, err)
	entries, err := after.Audit(t.Context(), ids[7], tenant.AuditFilter{Action: "keys.rotate"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.JSONEq(t, `{"from":"k1","to":"k2"}`, string(entries[0].Detail))
}
