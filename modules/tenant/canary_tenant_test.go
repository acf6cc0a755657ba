package tenant_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/modules/tenant"
)

func TestTheSyntheticTenantIsReservedAndNotListed(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	_, err := m.Create(t.Context(), actor, tenant.CreateInput{ID: tenant.Canary, Name: "Mine", ServiceDeskURL: "https://desk.example"})
	require.True(t, fault.Is(err, fault.Invalid))
	first, err := m.EnsureCanary(t.Context())
	require.NoError(t, err)
	second, err := m.EnsureCanary(t.Context())
	require.NoError(t, err)
	require.Equal(t, first.WebhookSecret.Reveal(), second.WebhookSecret.Reveal())
	create(t, m, "acme")
	list, err := m.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "acme", list[0].ID)
	ids, err := m.IDs(t.Context())
	require.NoError(t, err)
	require.Contains(t, ids, tenant.Canary, "its rows are looked after like any other's")
}
