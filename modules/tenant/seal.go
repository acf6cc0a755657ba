package tenant

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"aiagents/internal/fault"
	"aiagents/internal/keyring"
	"aiagents/internal/secret"
)

// The names under which a tenant's fields are sealed. They are part of every ciphertext: a renamed one opens nothing.
const (
	fieldDataKey        = "data_key"
	fieldAPIKey         = "servicedesk_api_key"
	fieldWebhookSecret  = "webhook_signing_secret"
	fieldPreviousSecret = "webhook_signing_secret_previous"
)

// configContext is what a ciphertext of ours is bound to. A tenant has one configuration, so the row's place stays empty.
func configContext(tenantID, field string) string {
	return "v1|" + tenantID + "|tenant_configs." + field + "|"
}

// fieldContext keeps the fields of other modules apart from those of the configuration.
func fieldContext(tenantID, field string) string { return "v1|" + tenantID + "|" + field }

// Seal encrypts plain with the tenant's data key. Only Open of the same tenant and field opens it. Field names a place that
// exists once a tenant, as in "desk_connections.access_token"; a table with more rows adds "|" and the row's key.
func (m *Module) Seal(ctx context.Context, tenantID, field string, plain []byte) ([]byte, error) {
	t, err := m.Get(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	return t.dataKey.Seal(plain, fieldContext(tenantID, field)), nil
}

// Open decrypts what Seal made for the same tenant and field.
func (m *Module) Open(ctx context.Context, tenantID, field string, sealed []byte) ([]byte, error) {
	t, err := m.Get(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	plain, err := t.dataKey.Open(sealed, fieldContext(tenantID, field))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", field, err)
	}
	return plain, nil
}

// encodeNew gives a tenant a data key of its own and seals it into a row.
func encodeNew(keys *keyring.Keyring, t *Tenant) (r record, err error) {
	if t.dataKey, err = keyring.NewDataKey(); err != nil {
		return record{}, err
	}
	if r, err = encode(*t); err != nil {
		return record{}, err
	}
	r.DataKey, err = keys.Wrap(t.dataKey, configContext(t.ID, fieldDataKey))
	return r, err
}

// encode seals a tenant into a row, all but its data key, which stays as it is stored.
func encode(t Tenant) (record, error) {
	settings, err := json.Marshal(t.Settings)
	if err != nil {
		return record{}, fmt.Errorf("encode settings: %w", err)
	}
	preferences, err := json.Marshal(t.Preferences)
	if err != nil {
		return record{}, fmt.Errorf("encode preferences: %w", err)
	}
	sealed := func(field string, s secret.Secret) []byte {
		if !s.IsSet() {
			return nil
		}
		return t.dataKey.Seal([]byte(s.Reveal()), configContext(t.ID, field))
	}
	return record{
		TenantID: t.ID, Name: t.Name, Edition: t.Edition, ServiceDeskURL: t.ServiceDeskURL,
		Settings: settings, Preferences: preferences, WebhookAuth: t.WebhookAuth,
		APIKey:            sealed(fieldAPIKey, t.APIKey),
		WebhookSecret:     sealed(fieldWebhookSecret, t.WebhookSecret),
		PreviousSecret:    sealed(fieldPreviousSecret, t.PreviousSecret),
		PreviousExpiresAt: t.PreviousExpiresAt,
		DisabledAt:        t.DisabledAt, Version: t.Version, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}, nil
}

// decode opens a row. A secret that does not open fails the whole tenant: half a tenant would look like a tenant without
// that secret.
func (m *Module) decode(r record) (Tenant, error) {
	key, err := m.keys.Unwrap(r.DataKey, configContext(r.TenantID, fieldDataKey))
	if err != nil {
		return Tenant{}, fmt.Errorf("open the data key of tenant %s: %w", r.TenantID, err)
	}
	t := Tenant{
		ID: r.TenantID, Name: r.Name, Edition: r.Edition, ServiceDeskURL: r.ServiceDeskURL, WebhookAuth: r.WebhookAuth,
		PreviousExpiresAt: r.PreviousExpiresAt, DisabledAt: r.DisabledAt, Version: r.Version,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, dataKey: key,
	}
	for _, f := range []struct {
		name   string
		sealed []byte
		into   *secret.Secret
	}{
		{fieldAPIKey, r.APIKey, &t.APIKey},
		{fieldWebhookSecret, r.WebhookSecret, &t.WebhookSecret},
		{fieldPreviousSecret, r.PreviousSecret, &t.PreviousSecret},
	} {
		if f.sealed == nil {
			continue
		}
		plain, err := key.Open(f.sealed, configContext(r.TenantID, f.name))
		if err != nil {
			return Tenant{}, fmt.Errorf("open %s of tenant %s: %w", f.name, r.TenantID, err)
		}
		*f.into = secret.New(string(plain))
	}
	if err := json.Unmarshal(r.Settings, &t.Settings); err != nil {
		return Tenant{}, fmt.Errorf("decode settings of tenant %s: %w", r.TenantID, err)
	}
	if t.Preferences, err = decodePreferences(r.Preferences); err != nil {
		return Tenant{}, fmt.Errorf("tenant %s: %w", r.TenantID, err)
	}
	return t, nil
}

// unknownSecret stands where a tenant has no active secret. Nobody knows it, so nothing verifies against it.
var unknownSecret = newWebhookSecret()

// newWebhookSecret makes 32 random bytes in the form of Standard Webhooks.
func newWebhookSecret() secret.Secret {
	raw := make([]byte, keyring.KeySize)
	_, _ = rand.Read(raw) // never fails: the runtime crashes first
	return secret.New(standardPrefix + base64.StdEncoding.EncodeToString(raw))
}

// newDecoy makes a tenant that cannot exist, sealed like a real one: looking up an unknown tenant opens it, so that the
// work is the same.
func newDecoy(keys *keyring.Keyring) (Tenant, record, error) {
	t := Tenant{
		ID: noTenant, Name: "Decoy", Edition: OnPrem, ServiceDeskURL: "https://desk.invalid",
		Settings: Settings{OnAmbiguous: Verify}, APIKey: newWebhookSecret(), WebhookSecret: newWebhookSecret(),
		WebhookAuth: []string{AuthHMAC, AuthToken, AuthStandard}, Preferences: DefaultPreferences(), Version: 1,
	}
	r, err := encodeNew(keys, &t)
	return t, r, err
}

// noTenant is an id that no tenant can have.
const noTenant = "-"

// connection turns a tenant into what a caller of its desk needs.
func (t Tenant) connection() (Connection, error) {
	if !t.APIKey.IsSet() {
		return Connection{}, fault.New(fault.Conflict,
			"the tenant has no service desk API key: set one with `aiagents tenant update --servicedesk-api-key-file`")
	}
	c := Connection{
		TenantID: t.ID, Edition: t.Edition, URL: t.ServiceDeskURL, Portal: t.Settings.Portal, NoteKey: t.Settings.NoteKey,
		AccountIDs: t.Settings.AccountIDs, OnAmbiguous: t.Settings.OnAmbiguous, Version: t.Version,
	}
	if !usesOAuth(t.Edition) {
		c.APIKey = t.APIKey
		return c, nil
	}
	var err error
	if c.OAuth, err = parseOAuth(t.APIKey); err != nil {
		return Connection{}, fault.New(fault.Conflict, "the service desk API key "+err.Error())
	}
	return c, nil
}
