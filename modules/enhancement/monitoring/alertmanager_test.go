package monitoring

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// amSimulator answers like Alertmanager's API v2 behind basic authentication.
type amSimulator struct{ alerts string }

func (s amSimulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "reader" || password != token {
		answer(w, http.StatusUnauthorized, `Unauthorized`)
		return
	}
	if r.URL.Path != "/api/v2/alerts" {
		answer(w, http.StatusNotFound, `{"code":404,"message":"path was not found"}`)
		return
	}
	if r.Method != http.MethodGet {
		answer(w, http.StatusMethodNotAllowed, `{"code":405,"message":"method not allowed"}`)
		return
	}
	want := url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"false"}, "unprocessed": {"true"}, "filter": {`customer="acme"`}}
	if r.URL.Query().Encode() != want.Encode() {
		answer(w, http.StatusBadRequest, `"bad matcher format"`)
		return
	}
	answer(w, 200, s.alerts)
}

const amAlerts = `[
 {"labels":{"alertname":"DiskFull","instance":"fs-01:9100","severity":"warning","customer":"acme"},"annotations":{"description":"96 % full"},
  "startsAt":"2026-11-23T07:40:00Z","endsAt":"2026-11-23T09:00:00Z","updatedAt":"2026-11-23T07:59:00Z","fingerprint":"a1",
  "generatorURL":"http://evil.example/","receivers":[{"name":"ops"}],"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}},
 {"labels":{"alertname":"Reboot","host":"FS-01.corp.example","severity":"info","customer":"acme"},"annotations":{},
  "startsAt":"2026-11-23T07:50:00Z","fingerprint":"a2","receivers":[],"status":{"state":"suppressed","silencedBy":["x"],"inhibitedBy":[]}},
 {"labels":{"alertname":"RouterDown","instance":"10.9.9.9","severity":"critical","customer":"acme"},"annotations":{},
  "startsAt":"2026-11-23T07:58:00Z","fingerprint":"a3","receivers":[],"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}},
 {"labels":{"alertname":"Foreign","instance":"fs-01:9100","severity":"critical","customer":"globex"},"annotations":{},
  "startsAt":"2026-11-23T07:58:00Z","fingerprint":"a4","receivers":[],"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}}]`

func amConfig() Config {
	return Config{Kind: "alertmanager", Auth: "basic", AuthRef: "basic", Labels: map[string]string{"customer": "acme"}, LinkURL: "https://alerts.example/am"}
}

func TestAlertmanager(t *testing.T) {
	t.Parallel()
	cfg := amConfig()
	cfg.NearInTime = true
	found, err := open(t, amSimulator{amAlerts}, cfg).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	require.Equal(t, []brief{
		{"FS-01.corp.example", "DiskFull: 96 % full", "warning", at.Add(-20 * time.Minute), true},
		{"FS-01.corp.example", "Reboot (silenced)", "info", at.Add(-10 * time.Minute), true},
		{"10.9.9.9", "RouterDown", "critical", at.Add(-2 * time.Minute), false},
		{"web-07", "no active alert names it", "ok", at, true},
	}, briefs(found))
	for _, o := range found {
		require.Contains(t, o.URL, "https://alerts.example/am/", "links come from the configuration, never from an alert")
	}
}

func TestAlertmanagerFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		alerts string
		change func(*Config)
		kind   fault.Kind
	}{
		"wrong scheme":  {amAlerts, func(c *Config) { c.Auth = "bearer" }, fault.Unauthenticated},
		"wrong path":    {amAlerts, func(c *Config) { c.BaseURL = "/x" }, fault.Invalid},
		"other matcher": {amAlerts, func(c *Config) { c.Labels = map[string]string{"customer": "a\"b"} }, fault.Invalid},
		"an object":     {`{}`, nil, fault.Unavailable},
	} {
		cfg := amConfig()
		if test.change != nil {
			test.change(&cfg)
		}
		_, err := open(t, amSimulator{test.alerts}, cfg).Observe(t.Context(), request(fileServer))
		require.True(t, fault.Is(err, test.kind), "%s: %v", name, err)
	}
}
