package tenant_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

// Every exported type that can hold a secret is printed in every way there is, and so is everything that reaches the log.
func TestNoExportedTypePrintsASecret(t *testing.T) {
	t.Parallel()
	const apiCanary, hookCanary, nextCanary = "canary-api-8f1d", "canary-hook-secret-2b7e", "canary-next-secret-44aa"
	cloudKey := `{"accounts_url":"https://a","client_id":"1000.A","client_secret":"` + apiCanary + `-cs","refresh_token":"` + apiCanary + `-rt"}`
	var logs bytes.Buffer
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{log: slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	in := input("acme")
	in.Edition, in.APIKey, in.WebhookSecret = tenant.Cloud, secret.New(cloudKey), secret.New(hookCanary)
	created, err := m.Create(t.Context(), actor, in)
	require.NoError(t, err)
	rotate := tenant.RotateInput{Secret: secret.New(nextCanary), Grace: time.Hour}
	rotated, err := m.RotateWebhookSecret(t.Context(), actor, "acme", rotate)
	require.NoError(t, err)
	require.Equal(t, hookCanary, rotated.PreviousSecret.Reveal())
	connection, err := m.Connection(t.Context(), "acme")
	require.NoError(t, err)
	require.Contains(t, connection.OAuth.ClientSecret.Reveal(), apiCanary)
	listings, err := m.List(t.Context())
	require.NoError(t, err)
	entries, err := m.Audit(t.Context(), "acme", tenant.AuditFilter{})
	require.NoError(t, err)
	apiKey := secret.New(cloudKey)

	values := []any{
		in, created, rotated, &rotated, connection, connection.OAuth, rotate,
		tenant.UpdateInput{APIKey: &apiKey},
		listings, entries,
		rotated.WebhookSecrets(time.Now()), m, *m,
		struct{ hidden tenant.Tenant }{rotated},
		map[string]any{"t": rotated},
	}
	seen := map[string]bool{}
	for _, v := range values {
		secretsIn(reflect.ValueOf(v), seen, 0)
		for _, out := range printed(t, v) {
			for _, canary := range []string{apiCanary, hookCanary, nextCanary} {
				for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:12]} {
					require.NotContains(t, strings.ToLower(out), strings.ToLower(form), "%T", v)
				}
			}
		}
	}
	for _, field := range []string{
		"Tenant.APIKey", "Tenant.WebhookSecret", "Tenant.PreviousSecret", "OAuth.ClientSecret", "OAuth.RefreshToken",
		"CreateInput.APIKey", "CreateInput.WebhookSecret", "UpdateInput.APIKey", "RotateInput.Secret", "Connection.APIKey",
	} {
		require.True(t, seen[field], "%s was not printed", field)
	}
	require.NotContains(t, logs.String(), "canary")
	// The rows hold neither.
	require.Zero(t, count(t, d, `SELECT count(*) FROM tenant_configs c WHERE c::text LIKE '%canary%' OR c::text LIKE '%' || encode('canary', 'hex') || '%'`))
	require.Zero(t, count(t, d, `SELECT count(*) FROM audit_log a WHERE a::text LIKE '%canary%'`))
}

func printed(t *testing.T, v any) []string {
	t.Helper()
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out = append(out, fmt.Sprintf(verb, v))
	}
	if _, isModule := v.(*tenant.Module); !isModule {
		if asJSON, err := json.Marshal(v); err == nil {
			out = append(out, string(asJSON))
		}
		if asYAML, err := yaml.Marshal(v); err == nil {
			out = append(out, string(asYAML))
		}
	}
	var logs bytes.Buffer
	slog.New(slog.NewTextHandler(&logs, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("m", "v", v)
	return append(out, logs.String())
}

// secretsIn notes which exported fields hold a secret that is set, so that the test shows what it printed.
func secretsIn(v reflect.Value, seen map[string]bool, depth int) {
	if depth > 4 || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		secretsIn(v.Elem(), seen, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Type == reflect.TypeFor[secret.Secret]() || field.Type == reflect.TypeFor[*secret.Secret]() {
				seen[v.Type().Name()+"."+field.Name] = true
			} else if field.IsExported() {
				secretsIn(v.Field(i), seen, depth+1)
			}
		}
	}
}
