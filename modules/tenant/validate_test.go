package tenant_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/secret"
	"aiagents/modules/tenant"
)

func TestEveryFaultyFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	p := tenant.DefaultPreferences()
	p.MaxWords = 9
	_, err := m.Create(t.Context(), actor, tenant.CreateInput{
		ID: "-", Name: " ", Edition: "saas", ServiceDeskURL: "ftp://x", APIKey: secret.New("a b"), WebhookSecret: secret.New("short"),
		WebhookAuth: []string{"basic"}, Portal: "a/b", NoteKey: "Note!", AccountIDs: []string{"1"}, OnAmbiguous: "guess",
		AllowedCIDRs: []string{"10.0.0.0/99"}, Preferences: &p,
	})
	got := details(t, err)
	for _, field := range []string{
		"id", "name", "edition", "servicedesk_url", "servicedesk_api_key", "webhook_secret", "webhook_auth", "portal", "note_key",
		"account_ids", "on_ambiguous", "allowed_cidrs", "preferences.max_words",
	} {
		require.NotEmpty(t, got[field], field)
		delete(got, field)
	}
	require.Empty(t, got)
	require.Zero(t, count(t, d, `SELECT count(*) FROM tenant_directory`))
}

func TestFieldsAtTheirLimits(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	cases := []struct {
		field string
		good  []func(*tenant.CreateInput)
		bad   []func(*tenant.CreateInput)
	}{
		{"id", ids("a", "A.b_c-9", strings.Repeat("x", 100)), ids("", ".a", "a b", "a/b", "ä", strings.Repeat("x", 101), "a\n")},
		{"name", names("x", strings.Repeat("ü", 200)), names("", "\t", strings.Repeat("ü", 201), "a\x00b", "a\nb")},
		{
			"servicedesk_url", urls("https://desk", "https://10.0.0.5:8443/sdp/", "https://[2001:db8::1]/"),
			urls("", "desk.example.com", "http://desk", "https://", "https://u:p@desk", "https://desk?x=1", "https://desk?",
				"https://desk#x", "https://desk#", "https://desk:0", "https://desk:99999", "https:desk", "javascript:alert(1)",
				"https://desk/\x00", "https://"+strings.Repeat("x", 500)),
		},
		{
			"webhook_secret", secrets("sixteen-letters!", "whsec_"+strings.Repeat("QUFB", 8)),
			secrets("fifteen-letters", "has a space inside", "ümlaut-ümlaut-ümlaut", "whsec_not+base64!!!", "whsec_"+strings.Repeat("QUFB", 7),
				strings.Repeat("x", 257)),
		},
		{"webhook_auth", auth([]string{"hmac"}, nil, []string{"token", "token"}), auth([]string{}, []string{"hmac", "none"}, []string{"HMAC"})},
		{"allowed_cidrs", cidrs("10.0.0.0/8", "::1", "10.0.0.1"), cidrs("", "10.0.0.0/33", "host", "fe80::1%eth0", "::ffff:10.0.0.0/104")},
		{"account_ids", accounts("", "1", "100000000000000006"), accounts(" ", "a b", "a|b", strings.Repeat("9", 101))},
	}
	for _, c := range cases {
		for i, alter := range c.good {
			in := input("id-" + strings.ReplaceAll(c.field, "_", "-") + "-" + string(rune('a'+i)))
			alter(&in)
			_, err := m.Create(t.Context(), actor, in)
			require.NoError(t, err, "%s, good %d", c.field, i)
		}
		for i, alter := range c.bad {
			in := input("bad")
			alter(&in)
			_, err := m.Create(t.Context(), actor, in)
			require.Contains(t, details(t, err), c.field, "%s, bad %d", c.field, i)
		}
	}
}

func alter[T any](set func(*tenant.CreateInput, T), values ...T) []func(*tenant.CreateInput) {
	var alterations []func(*tenant.CreateInput)
	for _, v := range values {
		alterations = append(alterations, func(in *tenant.CreateInput) { set(in, v) })
	}
	return alterations
}

func ids(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) { in.ID = s }, v...)
}

func names(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) { in.Name = s }, v...)
}

func urls(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) { in.ServiceDeskURL = s }, v...)
}

func secrets(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) { in.WebhookSecret = secret.New(s) }, v...)
}

func auth(v ...[]string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s []string) { in.WebhookAuth = s }, v...)
}

func cidrs(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) { in.AllowedCIDRs = []string{s} }, v...)
}

func accounts(v ...string) []func(*tenant.CreateInput) {
	return alter(func(in *tenant.CreateInput, s string) {
		in.Edition = tenant.MSPOnPrem
		if s != "" {
			in.AccountIDs = []string{s}
		}
	}, v...)
}

func TestHTTPIsForDevelopmentOnly(t *testing.T) {
	t.Parallel()
	cfg := tenant.DefaultConfig()
	cfg.AllowHTTP = true
	m := newModule(t, dbtest.New(t).DB, options{cfg: &cfg})
	in := input("acme")
	in.ServiceDeskURL = "http://127.0.0.1:8080"
	_, err := m.Create(t.Context(), actor, in)
	require.NoError(t, err)
}

func TestACloudKeyNamesWhatIsMissingAndQuotesNothing(t *testing.T) {
	t.Parallel()
	m := newModule(t, dbtest.New(t).DB, options{})
	const canary = "canary-91c2"
	for key, field := range map[string]string{
		canary:                                          "servicedesk_api_key",
		`{"` + canary + `":1}`:                          "servicedesk_api_key",
		`{"client_id":["` + canary + `"]}`:              "servicedesk_api_key",
		`{"client_id":"` + canary + `"} more`:           "servicedesk_api_key",
		`{"accounts_url":"https://u:` + canary + `@a"}`: "servicedesk_api_key.accounts_url",
		`{"accounts_url":"http://a","client_secret":"` + canary + `"}`:      "servicedesk_api_key.refresh_token",
		`{"accounts_url":"https://a","refresh_token":"` + canary + `\n x"}`: "servicedesk_api_key.refresh_token",
	} {
		in := input("acme")
		in.Edition, in.APIKey = tenant.Cloud, secret.New(key)
		_, err := m.Create(t.Context(), actor, in)
		require.Contains(t, details(t, err), field, key)
		for _, text := range details(t, err) {
			require.NotContains(t, text, canary)
		}
		require.NotContains(t, err.Error(), canary)
	}
}

func TestPreferencesAreReadStrictlyOverTheirDefaults(t *testing.T) {
	t.Parallel()
	p, err := tenant.ParsePreferences([]byte(`{"note_language":"pt-BR","skip":{"priorities":["Low"]},"monitoring":{"zabbix":{"url":"https://z"}}}`))
	require.NoError(t, err)
	require.Equal(t, "pt-BR", p.NoteLanguage)
	require.Equal(t, 500, p.MaxWords)
	require.Equal(t, "technicians", p.VisibleTo.Audience)
	require.False(t, p.VisibleTo.ShowRequesterName)

	for raw, field := range map[string]string{
		`{"note_langage":"de"}`:                        "preferences",
		`{} {}`:                                        "preferences",
		`{"max_words":"many"}`:                         "preferences",
		`{"note_language":"German"}`:                   "preferences.note_language",
		`{"max_words":49}`:                             "preferences.max_words",
		`{"max_words":501}`:                            "preferences.max_words",
		`{"visible_to":{"audience":"everyone"}}`:       "preferences.visible_to.audience",
		`{"model":"a model"}`:                          "preferences.model",
		`{"daily_token_budget":-1}`:                    "preferences.daily_token_budget",
		`{"ticket_history_days":-1}`:                   "preferences.ticket_history_days",
		`{"skip":{"categories":[" "]}}`:                "preferences.skip.categories",
		`{"monitoring":[1]}`:                           "preferences.monitoring",
		`{"monitoring":{"a":[{"apiKey":"x"}]}}`:        "preferences.monitoring",
		`{"monitoring":{"auth":{"Bearer-Token":"x"}}}`: "preferences.monitoring",
	} {
		_, err := tenant.ParsePreferences([]byte(raw))
		require.Contains(t, details(t, err), field, raw)
	}
}

func TestStoredPreferencesOfANewerProcessAreRead(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	m := newModule(t, d.DB, options{})
	create(t, m, "acme")
	inTenant(t, d.DB, "acme", `UPDATE tenant_configs SET enhancement_preferences = '{"max_words": 200, "from_the_future": 1}'`)

	got, err := m.Fresh(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, 200, got.Preferences.MaxWords)
	require.Equal(t, "en", got.Preferences.NoteLanguage)
}

func TestSkipRules(t *testing.T) {
	t.Parallel()
	r := tenant.SkipRules{Categories: []string{"Telephony"}, Priorities: []string{"Low"}, SubjectPrefixes: []string{"[Auto]"}}
	for _, c := range []struct {
		subject, category, priority string
		skip                        bool
	}{
		{"Printer jam", "Printers", "High", false},
		{"Printer jam", "telephony", "High", true},
		{"Printer jam", "", "LOW", true},
		{" [AUTO] backup ok", "", "", true},
		{"backup [auto]", "", "", false},
		{"", "", "", false},
	} {
		rule, skip := r.Skips(c.subject, c.category, c.priority)
		require.Equal(t, c.skip, skip, "%+v", c)
		require.Equal(t, c.skip, rule != "")
	}
}

func TestConfigNamesItsFaults(t *testing.T) {
	t.Parallel()
	require.Empty(t, tenant.DefaultConfig().Validate())
	require.Len(t, tenant.Config{CacheTTL: -1, AuditRetention: tenant.MinAuditRetention - 1}.Validate(), 2)
}
