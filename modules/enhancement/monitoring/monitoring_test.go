package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// scripted is a provider that says what a test tells it.
type scripted struct {
	name    string
	observe func(context.Context, Request) ([]evidence.Observation, error)
}

func (s scripted) Name() string { return s.name }
func (s scripted) Observe(ctx context.Context, r Request) ([]evidence.Observation, error) {
	return s.observe(ctx, r)
}

func says(observations ...evidence.Observation) scripted {
	return scripted{"says", func(context.Context, Request) ([]evidence.Observation, error) { return observations, nil }}
}

func TestGatherArranges(t *testing.T) {
	t.Parallel()
	seen := func(summary, severity string, about bool, minutesAgo int) evidence.Observation {
		return evidence.Observation{Summary: summary, Severity: severity, AboutHost: about, Since: at.Add(-time.Duration(minutesAgo) * time.Minute)}
	}
	found, err := Gather(t.Context(), []Provider{
		says(seen("fine", "ok", true, 0), seen("near 1", "critical", false, 1), seen("old warning", "warning", true, 9)),
		says(seen("near 2", "critical", false, 2), seen("near 3", "critical", false, 3), seen("critical\n\x00\u202e"+strings.Repeat("ä", 300), "critical", true, 30), seen("new warning", "warning", true, 1)),
	}, request(fileServer))
	require.NoError(t, err)
	var lines []string
	for _, o := range found {
		lines = append(lines, o.ID+" "+strings.TrimRight(o.Summary, "ä"))
	}
	require.Equal(t, []string{"M-1 critical " + strings.Repeat("ä", 190) + "…", "M-2 new warning", "M-3 old warning", "M-4 near 1", "M-5 near 2"}, lines)
}

func TestGatherKeepsWhatTheOthersSaid(t *testing.T) {
	t.Parallel()
	var asked Request
	broken := scripted{"Broken", func(_ context.Context, r Request) ([]evidence.Observation, error) {
		asked = r
		return nil, fault.New(fault.Unavailable, "away")
	}}
	network := evidence.System{IP: "10.2.3.0/24"}
	strange := evidence.System{Hostname: `x"} or vector(1) #`}
	found, err := Gather(t.Context(), []Provider{broken, says(evidence.Observation{Summary: "x", AboutHost: true})},
		Request{Hosts: []evidence.System{network, strange, fileServer}, At: at})
	require.ErrorContains(t, err, "ask Broken: away")
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Len(t, found, 1)
	require.Equal(t, []evidence.System{fileServer}, asked.Hosts, "a network or a name with a meaning in a query is not asked for")
	require.Equal(t, DefaultWindow, asked.Window)
}

func TestGatherEndsWithItsContext(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	release := make(chan struct{})
	base, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
	}))
	defer close(release)
	providers, err := Open(json.RawMessage(fmt.Sprintf(`{"providers":[{"kind":"alertmanager","base_url":%q}]}`, base)), secrets, client)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	_, err = Gather(ctx, providers, request(fileServer))
	require.ErrorIs(t, err, context.Canceled)

	slow := scripted{"slow", func(ctx context.Context, _ Request) ([]evidence.Observation, error) {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.LessOrEqual(t, time.Until(deadline), TimeLimit)
		return nil, nil
	}}
	_, err = Gather(t.Context(), []Provider{slow}, request(fileServer))
	require.NoError(t, err)
}

func TestClientGuards(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		kind    fault.Kind
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, fault.Invalid},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(neverEnding(' '), maxAnswerBytes+2))
		}, fault.Unavailable},
		"server error": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 502, "secret") }, fault.Unavailable},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("["))
		}, fault.Unavailable},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Kind: "alertmanager", AuthRef: "token", Labels: map[string]string{"customer": "acme"}}
			_, err := open(t, test.handler, cfg).Observe(t.Context(), request(fileServer))
			require.True(t, fault.Is(err, test.kind), "%v", err)
			for _, private := range []string{"secret", token, "customer", "?"} {
				require.NotContains(t, err.Error(), private)
			}
		})
	}
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "null", " {} ", `{"providers":[]}`} {
		providers, err := Open(json.RawMessage(none), secrets, http.DefaultClient)
		require.NoError(t, err)
		require.Empty(t, providers)
	}
	providers, err := Open(json.RawMessage(`{"providers":[
		{"kind":"prometheus","base_url":"https://prom.example/x","auth_ref":"token","queries":[{"name":"n","query":"a{b=~\"{{.Hosts}}\"}"}]},
		{"kind":"alertmanager","base_url":"http://am.example"},
		{"kind":"zabbix","name":"Zabbix HQ","base_url":"https://z.example","auth_ref":"token"},
		{"kind":"datadog","auth_ref":"token","app_auth_ref":"app"}]}`), secrets, http.DefaultClient)
	require.NoError(t, err)
	var names []string
	for _, p := range providers {
		names = append(names, p.Name())
	}
	require.Equal(t, []string{"Prometheus", "Alertmanager", "Zabbix HQ", "Datadog"}, names)
}

func TestOpenNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := Open(json.RawMessage(`{"providers":[{"kind":"nagios"},{"kind":"zabbix","base_url":"https://z.example"}]}`), secrets, http.DefaultClient)
	require.ErrorContains(t, err, "monitoring.providers[0]: kind")
	require.ErrorContains(t, err, "monitoring.providers[1]: auth_ref")
	for config, want := range map[string]string{
		`[]`:    "expected {",
		`{} {}`: "nothing after it",
		`{"providers":[{"kind":"zabbix","nonsense":1}]}`:                                                                                      "unknown field",
		`{"providers":[{"kind":"prometheus"}]}`:                                                                                               "base_url",
		`{"providers":[{"kind":"prometheus","base_url":"ftp://x"}]}`:                                                                          "base_url",
		`{"providers":[{"kind":"prometheus","base_url":"https://user:hunter2@x.example"}]}`:                                                   "base_url: must have no user",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example?token=hunter2"}]}`:                                                  "base_url",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","link_url":"x"}]}`:                                                 "link_url",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","auth":"digest"}]}`:                                                "auth",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","auth":"basic"}]}`:                                                 "auth_ref: is missing",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","auth_ref":"nope"}]}`:                                              "no such secret",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","auth_ref":"empty"}]}`:                                             "is empty",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","labels":{"a b":"c"}}]}`:                                           "labels",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","host_label":"a}"}]}`:                                              "host_label",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","queries":[{"query":"x"}]}]}`:                                      "name",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","queries":[{"name":"n","query":"up"}]}]}`:                          "must use {{.Hosts}}",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","queries":[{"name":"n","query":"{{.Host}}"}]}]}`:                   "query",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","queries":[{"name":"n","query":"{{"}]}]}`:                          "query",
		`{"providers":[{"kind":"prometheus","base_url":"https://x.example","queries":[{"name":"n","query":"{{.Hosts}}","severity":"bad"}]}]}`: "severity",
		`{"providers":[{"kind":"alertmanager","base_url":"https://x.example","queries":[{"name":"n","query":"{{.Hosts}}"}]}]}`:                "queries",
		`{"providers":[{"kind":"zabbix","base_url":"https://x.example","auth_ref":"token","org_id":"x"}]}`:                                    "org_id",
		`{"providers":[{"kind":"datadog","auth_ref":"token"}]}`:                                                                               "auth_ref: is missing",
		`{"providers":[{"kind":"datadog","auth_ref":"token","app_auth_ref":"app","queries":[{"name":"n","query":"{{.Hosts}}"}]}]}`:            "above or below",
	} {
		_, err := Open(json.RawMessage(config), secrets, http.DefaultClient)
		require.ErrorContains(t, err, want, config)
		require.True(t, fault.Is(err, fault.Invalid))
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestNothingToAskAsksNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"prometheus", "alertmanager", "zabbix", "datadog"} {
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked without a host") })
		p := open(t, handler, Config{Kind: kind, AuthRef: "token", AppAuthRef: "app"})
		found, err := p.Observe(t.Context(), request())
		require.NoError(t, err)
		require.Empty(t, found)
	}
}

func TestHostNamed(t *testing.T) {
	t.Parallel()
	hosts := []evidence.System{fileServer, webServer}
	for value, want := range map[string]string{
		"fs-01": "FS-01.corp.example", "FS-01:9100": "FS-01.corp.example", "fs-01.corp.example.": "FS-01.corp.example", "10.2.3.4:80": "FS-01.corp.example",
		"web-07.corp.example": "web-07", "[2001:db8:0::7]:443": "web-07", "::ffff:10.2.3.4": "FS-01.corp.example",
		"fs-01.other.example": "", "fs-010": "", "10.2.3.40": "", "10": "", "": "", ":": "",
	} {
		h, ok := hostNamed(hosts, value)
		require.Equal(t, want != "", ok, value)
		require.Equal(t, want, h.Hostname, value)
	}
}

func TestWithoutURLDropsTheQuery(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") })}
	providers, err := Open(json.RawMessage(`{"providers":[{"kind":"datadog","auth_ref":"token","app_auth_ref":"app"}]}`), secrets, client)
	require.NoError(t, err)
	_, err = providers[0].Observe(t.Context(), request(fileServer))
	require.EqualError(t, err, "monitoring does not answer: GET api.datadoghq.com/api/v1/monitor/groups/search: refused")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
