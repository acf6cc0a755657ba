package tenant_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func TestNewNamesEveryMissingDependency(t *testing.T) {
	t.Parallel()
	_, err := tenant.New(tenant.Deps{}, tenant.Config{})
	for _, want := range []string{"DB", "Keyring", "Logger", "Clock", "tenant.cache_ttl", "tenant.audit_retention"} {
		require.ErrorContains(t, err, want)
	}
}

func TestATenantComesBackAsItWasCreated(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	preferences := tenant.DefaultPreferences()
	preferences.NoteLanguage = "de"
	in := input("acme")
	in.Edition, in.AccountIDs, in.AllowedCIDRs = tenant.MSPOnPrem, []string{"7", "3", "7"}, []string{"192.0.2.9/24", "2001:db8::1"}
	in.WebhookAuth, in.OnAmbiguous, in.NoteKey = []string{"token", "hmac"}, tenant.NeverRepost, "note"
	in.Preferences, in.APIKey = &preferences, secret.New("key-with-line-end\n")

	created, err := m.Create(t.Context(), actor, in)
	require.NoError(t, err)
	fresh, err := newModule(t, d.DB, options{}).Fresh(t.Context(), "acme")
	require.NoError(t, err)

	for _, got := range []tenant.Tenant{created, fresh} {
		require.Equal(t, "Tenant acme", got.Name)
		require.Equal(t, "https://desk.example.com", got.ServiceDeskURL, "the trailing slash is trimmed")
		require.Equal(t, []string{"3", "7"}, got.Settings.AccountIDs)
		require.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}, got.Settings.AllowedCIDRs)
		require.Equal(t, []string{"hmac", "token"}, got.WebhookAuth)
		require.Equal(t, "key-with-line-end", got.APIKey.Reveal())
		require.Equal(t, preferences, got.Preferences)
		require.Equal(t, created.WebhookSecret.Reveal(), got.WebhookSecret.Reveal())
		require.EqualValues(t, 1, got.Version)
		require.False(t, got.Disabled())
		require.True(t, got.Accepts("token"))
		require.False(t, got.Accepts("standard"))
	}
	connection, err := m.Connection(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, tenant.MSPOnPrem, connection.Edition)
	require.Equal(t, tenant.NeverRepost, connection.OnAmbiguous)
	require.Equal(t, "key-with-line-end", connection.APIKey.Reveal())
	require.Equal(t, []string{"3", "7"}, connection.AccountIDs)
}

func TestAGeneratedWebhookSecretServesStandardWebhooks(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	a, b := create(t, m, "a"), create(t, m, "b")

	require.True(t, strings.HasPrefix(a.WebhookSecret.Reveal(), "whsec_"))
	require.Len(t, tenant.StandardKey(a.WebhookSecret), 32)
	require.False(t, a.WebhookSecret.Equal(b.WebhookSecret))
	require.Equal(t, "a-secret-of-my-own", string(tenant.StandardKey(secret.New("a-secret-of-my-own"))))
}

func TestACloudKeyIsTheConnectionsOAuth(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	in := input("acme")
	in.Edition, in.Portal = tenant.Cloud, "itdesk"
	in.APIKey = secret.New(`{"accounts_url":"https://accounts.zoho.eu/","client_id":"1000.A","client_secret":"cs","refresh_token":"rt"}`)
	_, err := m.Create(t.Context(), actor, in)
	require.NoError(t, err)

	c, err := m.Connection(t.Context(), "acme")
	require.NoError(t, err)
	require.False(t, c.APIKey.IsSet())
	require.Equal(t, "https://accounts.zoho.eu", c.OAuth.AccountsURL)
	require.Equal(t, "1000.A", c.OAuth.ClientID)
	require.Equal(t, "cs", c.OAuth.ClientSecret.Reveal())
	require.Equal(t, "rt", c.OAuth.RefreshToken.Reveal())
	require.Equal(t, "itdesk", c.Portal)
}

func TestATenantWithoutAKeyHasNoConnectionUntilItGetsOne(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	in := input("acme")
	in.APIKey = secret.Secret{}
	_, err := m.Create(t.Context(), actor, in)
	require.NoError(t, err)
	_, err = m.Connection(t.Context(), "acme")
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)

	_, err = m.SetAPIKey(t.Context(), actor, "acme", secret.Secret{})
	require.Contains(t, details(t, err), "servicedesk_api_key")
	_, err = m.SetAPIKey(t.Context(), actor, "acme", secret.New("new-key\n"))
	require.NoError(t, err)
	c, err := m.Connection(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "new-key", c.APIKey.Reveal())
}

func TestAnIDIsTakenOnce(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	first := create(t, m, "acme")
	_, err := m.Create(t.Context(), actor, input("acme"))
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)

	fresh, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.True(t, first.WebhookSecret.Equal(fresh.WebhookSecret), "the first tenant is untouched")
}

func TestListNeedsNoKeys(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "b")
	create(t, m, "a")
	_, err := m.Disable(t.Context(), actor, "a")
	require.NoError(t, err)

	listings, err := newModule(t, d.DB, options{keys: keys(t, "other")}).List(t.Context())
	require.NoError(t, err)
	require.Len(t, listings, 2)
	require.Equal(t, "a", listings[0].ID)
	require.NotNil(t, listings[0].DisabledAt)
	require.Equal(t, "b", listings[1].ID)
	require.Nil(t, listings[1].DisabledAt)
	require.Equal(t, "k1", listings[1].EncryptionKey)
}

func TestAnUpdateOfAnOldVersionIsRefused(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	create(t, m, "acme")
	name, other := "New name", "Another name"

	updated, err := m.Update(t.Context(), actor, "acme", tenant.UpdateInput{Version: 1, Name: &name})
	require.NoError(t, err)
	require.EqualValues(t, 2, updated.Version)
	_, err = m.Update(t.Context(), actor, "acme", tenant.UpdateInput{Version: 1, Name: &other})
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	_, err = m.Update(t.Context(), actor, "acme", tenant.UpdateInput{Name: &name})
	require.NoError(t, err)

	fresh, err := m.Get(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, name, fresh.Name)
	require.EqualValues(t, 2, fresh.Version, "a change that changes nothing makes no version")
	require.Equal(t, "api-key-of-acme", fresh.APIKey.Reveal(), "what was not named stays")
}

func TestAnUpdateChecksTheWholeTenant(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	create(t, m, "acme")
	cloud, none := tenant.Cloud, []string{}

	_, err := m.Update(t.Context(), actor, "acme", tenant.UpdateInput{Edition: &cloud, WebhookAuth: &none})
	require.Contains(t, details(t, err), "servicedesk_api_key", "the key that is stored is not one of a cloud desk")
	require.Contains(t, details(t, err), "webhook_auth")
	fresh, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, tenant.OnPrem, fresh.Edition)

	var noList []string
	_, err = m.Update(t.Context(), actor, "acme", tenant.UpdateInput{WebhookAuth: &noList})
	require.Contains(t, details(t, err), "webhook_auth")
}

func TestTwoSecretsAreActiveDuringARotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newModule(t, dbtest.New(t).DB, options{clock: c})
	old := create(t, m, "acme").WebhookSecret

	rotated, err := m.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{Grace: tenant.DefaultGrace})
	require.NoError(t, err)
	require.False(t, rotated.WebhookSecret.Equal(old))
	got, err := m.Get(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, []string{rotated.WebhookSecret.Reveal(), old.Reveal()}, active(got, c.Now()))
	require.Equal(t, rotated.PreviousExpiresAt.UnixMicro(), got.PreviousExpiresAt.UnixMicro())

	c.Advance(tenant.DefaultGrace)
	secrets := got.WebhookSecrets(c.Now())
	require.True(t, secrets[0].Equal(rotated.WebhookSecret))
	require.False(t, secrets[1].Equal(old), "the grace period is over")
	require.True(t, secrets[1].IsSet(), "the empty place holds a secret that nobody knows")

	leaked := rotated.WebhookSecret
	rotated, err = m.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{Secret: secret.New("my-own-webhook-secret\n")})
	require.NoError(t, err)
	require.Equal(t, "my-own-webhook-secret", rotated.WebhookSecret.Reveal())
	require.NotContains(t, active(rotated, c.Now()), leaked.Reveal(), "no grace, so it ends at once")
}

func active(t tenant.Tenant, now time.Time) []string {
	s := t.WebhookSecrets(now)
	return []string{s[0].Reveal(), s[1].Reveal()}
}

func TestARotationIsChecked(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	created := create(t, m, "acme")
	for field, in := range map[string]tenant.RotateInput{
		"grace":          {Grace: 31 * 24 * time.Hour},
		"webhook_secret": {Secret: created.WebhookSecret},
	} {
		_, err := m.RotateWebhookSecret(t.Context(), actor, "acme", in)
		require.Contains(t, details(t, err), field)
	}
	_, err := m.RotateWebhookSecret(t.Context(), actor, "acme", tenant.RotateInput{Secret: secret.New("too short")})
	require.Contains(t, details(t, err), "webhook_secret")
}

func TestAZeroTenantHasNoUsableSecret(t *testing.T) {
	t.Parallel()
	for _, s := range (tenant.Tenant{}).WebhookSecrets(time.Now()) {
		require.Greater(t, len(s.Reveal()), 40)
	}
}

func TestChangesNeedATenantAndAnActor(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	create(t, m, "acme")
	for _, id := range []string{"unknown", "", "no such id", "\x00"} {
		_, err := m.Disable(t.Context(), actor, id)
		require.True(t, fault.Is(err, fault.NotFound), "%q: %v", id, err)
		_, err = m.Get(t.Context(), id)
		require.True(t, fault.Is(err, fault.NotFound), "%q: %v", id, err)
		_, err = m.Delete(t.Context(), actor, id)
		require.True(t, fault.Is(err, fault.NotFound), "%q: %v", id, err)
	}
	_, err := m.Disable(t.Context(), " ", "acme")
	require.ErrorContains(t, err, "needs an actor")
	fresh, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.False(t, fresh.Disabled())
}

func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	var open, closed tenant.Tenant
	closed.Settings.AllowedCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for addr, want := range map[string]bool{
		"192.0.2.77": true, "::ffff:192.0.2.77": true, "2001:db8::1": true, "192.0.3.1": false, "2001:db9::1": false,
	} {
		require.Equal(t, want, closed.AllowsAddress(netip.MustParseAddr(addr)), addr)
		require.True(t, open.AllowsAddress(netip.MustParseAddr(addr)), addr)
	}
	require.False(t, closed.AllowsAddress(netip.Addr{}))
}
