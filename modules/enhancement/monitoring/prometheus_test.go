package monitoring

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// promSimulator answers like Prometheus behind a proxy that wants a bearer token and an organisation, and refuses what
// Prometheus refuses.
type promSimulator struct {
	alerts  string
	results map[string]string // by the beginning of the query
	asked   chan string
}

func (s promSimulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		answer(w, http.StatusUnauthorized, `unauthorized`)
		return
	case r.Header.Get("X-Scope-OrgID") != "acme":
		answer(w, http.StatusUnauthorized, `no org id`)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /prom/api/v1/alerts":
		if r.URL.RawQuery != "" {
			answer(w, 400, `{"status":"error","errorType":"bad_data","error":"unexpected parameter"}`)
			return
		}
		answer(w, 200, `{"status":"success","data":{"alerts":[`+s.alerts+`]}}`)
	case "POST /prom/api/v1/query":
		s.query(w, r)
	default:
		answer(w, http.StatusMethodNotAllowed, `{"status":"error","errorType":"bad_data","error":"no such call"}`)
	}
}

func (s promSimulator) query(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" ||
		r.PostForm.Get("time") != fmt.Sprint(at.Unix()) || r.PostForm.Get("timeout") == "" || len(r.PostForm) != 3 {
		answer(w, 400, `{"status":"error","errorType":"bad_data","error":"invalid parameter"}`)
		return
	}
	query := r.PostForm.Get("query")
	if s.asked != nil {
		s.asked <- query
	}
	for start, result := range s.results {
		if strings.HasPrefix(query, start) {
			answer(w, 200, result)
			return
		}
	}
	answer(w, 200, vector())
}

// vector is the answer to an instant query, from pairs of labels and value.
func vector(pairs ...string) string {
	var series []string
	for i := 0; i+1 < len(pairs); i += 2 {
		series = append(series, fmt.Sprintf(`{"metric":{%s},"value":[%d.123,%q]}`, pairs[i], at.Unix(), pairs[i+1]))
	}
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}}`
}

func promConfig() Config {
	return Config{Kind: "prometheus", BaseURL: "/prom", AuthRef: "token", OrgID: "acme"}
}

const diskAlert = `{"labels":{"alertname":"DiskFull","instance":"fs-01.corp.example:9100","severity":"critical","customer":"acme"},
	"annotations":{"summary":"Disk E:\n96 % full"},"state":"firing","activeAt":"2026-11-23T07:40:00Z","value":"9.6e+01"}`

const switchAlert = `{"labels":{"alertname":"SwitchDown","instance":"10.9.9.9:161","severity":"page","customer":"globex"},
	"annotations":{},"state":"firing","activeAt":"2026-11-23T07:55:00Z","value":"1"}`

func TestPrometheusAlertsOfTheHosts(t *testing.T) {
	t.Parallel()
	pending := strings.Replace(strings.Replace(diskAlert, "DiskFull", "Pending", 1), `"firing"`, `"pending"`, 1)
	later := strings.Replace(strings.Replace(diskAlert, "DiskFull", "MuchLater", 1), "T07:40", "T11:40", 1)
	sim := promSimulator{alerts: diskAlert + "," + switchAlert + "," + pending + "," + later}
	p := open(t, sim, promConfig())
	found, err := p.Observe(t.Context(), request(fileServer))
	require.NoError(t, err)
	require.Equal(t, []brief{
		{"FS-01.corp.example", "DiskFull: Disk E:\n96 % full", "critical", at.Add(-20 * time.Minute), true},
	}, briefs(found), "the other host's alert is not told unless the configuration allows it")
	require.Contains(t, found[0].URL, "/prom/graph?g0.expr=ALERTS%7Balertname%3D%22DiskFull%22%7D")

	cfg := promConfig()
	cfg.NearInTime = true
	found, err = open(t, sim, cfg).Observe(t.Context(), request(fileServer))
	require.NoError(t, err)
	require.Equal(t, brief{"10.9.9.9", "SwitchDown", "critical", at.Add(-5 * time.Minute), false}, briefs(found)[1])

	cfg.Labels = map[string]string{"customer": "globex"}
	found, err = open(t, sim, cfg).Observe(t.Context(), request(fileServer))
	require.NoError(t, err)
	require.Len(t, found, 1, "an alert of another customer is nobody's business")
	require.Equal(t, "10.9.9.9", found[0].Host)
}

func TestPrometheusEndedAlertsQueriesAndTargets(t *testing.T) {
	t.Parallel()
	cfg := promConfig()
	above := 90.0
	cfg.Labels = map[string]string{"customer": "acme"}
	cfg.Queries = []Query{
		{Role: "file", Name: "Disk almost full", Query: `max by (instance) (disk_used_percent{instance=~"{{.Hosts}}"})`, Above: &above, Unit: "%"},
		{Role: "database", Name: "Never asked", Query: `never{instance=~"{{.Hosts}}"}`},
	}
	sim := promSimulator{asked: make(chan string, 10), results: map[string]string{
		`min_over_time(timestamp(ALERTS{alertstate="firing",customer="acme"})[30m:1m])`: vector(
			`"alertname":"HighLoad","alertstate":"firing","host":"web-07","severity":"warning"`, fmt.Sprint(at.Add(-25*time.Minute).Unix()),
			`"alertname":"HighLoad","alertstate":"firing","host":"web-08","severity":"warning"`, "1"),
		"max by": vector(`"instance":"10.2.3.4:9100"`, "96.4567", `"instance":"fs-01:9100"`, "12", `"instance":"fs-01:9100"`, "NaN"),
		"up{":    vector(`"instance":"fs-01:9100","job":"node"`, "1", `"instance":"[2001:db8::7]:443","job":"blackbox"`, "0"),
	}}
	found, err := open(t, sim, cfg).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	require.Equal(t, []brief{
		{"web-07", "HighLoad (ended since)", "warning", at.Add(-25 * time.Minute), true},
		{"FS-01.corp.example", "Disk almost full: 96.46 %", "warning", at, true},
		{"web-07", "target down: job blackbox cannot be scraped", "critical", at, true},
	}, briefs(found))
	close(sim.asked)
	for query := range sim.asked {
		require.NotContains(t, query, "never")
		if strings.HasPrefix(query, "up{") {
			require.Contains(t, query, `customer="acme",instance=~"`)
		}
	}
}

func TestPrometheusHealthyNeedsProof(t *testing.T) {
	t.Parallel()
	sim := promSimulator{results: map[string]string{"up{": vector(`"instance":"fs-01:9100","job":"node"`, "1", `"instance":"fs-01:80","job":"web"`, "1")}}
	found, err := open(t, sim, promConfig()).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	require.Equal(t, []brief{
		{"FS-01.corp.example", "scraped and up, no alert in the 30 minutes before the ticket", "ok", at, true},
	}, briefs(found), "nothing is said of the host that is not scraped")
}

func TestPrometheusFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		result string
		kind   fault.Kind
	}{
		"wrong credential": {func(c *Config) { c.AuthRef = "app" }, "", fault.Unauthenticated},
		"no organisation":  {func(c *Config) { c.OrgID = "" }, "", fault.Unauthenticated},
		"wrong path":       {func(c *Config) { c.BaseURL = "/other" }, "", fault.Invalid},
		"error envelope":   {nil, `{"status":"error","errorType":"timeout","error":"secret query text"}`, fault.Unavailable},
		"not a vector":     {nil, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, fault.Invalid},
		"not JSON":         {nil, `<html>`, fault.Unavailable},
		"no sample value":  {nil, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}`, fault.Unavailable},
		"data of no shape": {nil, `{"status":"success","data":7}`, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := promConfig()
			if test.change != nil {
				test.change(&cfg)
			}
			_, err := open(t, promSimulator{results: map[string]string{"up{": test.result}}, cfg).Observe(t.Context(), request(fileServer))
			require.True(t, fault.Is(err, test.kind), "%v", err)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), token)
		})
	}
}

// The expression that the queries get must match what exporters report, and nothing else; Prometheus anchors it.
func TestPromHosts(t *testing.T) {
	t.Parallel()
	text := promHosts(request(fileServer, webServer).Hosts)
	require.NotContains(t, text, `\`)
	require.NotContains(t, text, `"`)
	expression := regexp.MustCompile("^(?:" + text + ")$")
	for value, want := range map[string]bool{
		"fs-01": true, "FS-01:9100": true, "fs-01.corp.example": true, "fs-01.corp.example:9100": true, "10.2.3.4:9100": true,
		"web-07.any.example": true, "[2001:db8::7]:443": true, "2001:db8::7": true,
		"fs-010": false, "fs-01.other.example": false, "10.2.344": false, "10.2.3.45": false, "xfs-01": false, "fs-01:9100/x": false,
	} {
		require.Equal(t, want, expression.MatchString(value), value)
	}
}
