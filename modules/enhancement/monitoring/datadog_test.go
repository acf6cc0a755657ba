package monitoring

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// datadogSimulator answers like Datadog's API v1 with both keys.
type datadogSimulator struct {
	alerting string
	warning  string
	series   map[string]string // by the beginning of the query
	limited  bool
}

func (s datadogSimulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("DD-API-KEY") != token || r.Header.Get("DD-APPLICATION-KEY") != "app-key" || r.Header.Get("Authorization") != "" {
		answer(w, http.StatusForbidden, `{"errors":["Forbidden"]}`)
		return
	}
	if s.limited {
		w.Header().Set("X-RateLimit-Reset", "17")
		answer(w, http.StatusTooManyRequests, `{"errors":["Rate limit of 300 requests in 3600 seconds reached"]}`)
		return
	}
	query := r.URL.Query()
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/monitor/groups/search":
		groups, ok := map[string]string{"group_status:alert": s.alerting, "group_status:warn": s.warning}[query.Get("query")]
		if !ok || len(query) != 3 || query.Get("page") != "0" || query.Get("per_page") == "" {
			answer(w, http.StatusBadRequest, `{"errors":["Bad Request"]}`)
			return
		}
		answer(w, 200, `{"groups":[`+groups+`],"counts":{},"metadata":{"page":0}}`)
	case "GET /api/v1/query":
		if len(query) != 3 || query.Get("from") != fmt.Sprint(at.Add(-30*time.Minute).Unix()) || query.Get("to") != fmt.Sprint(at.Unix()) {
			answer(w, http.StatusBadRequest, `{"errors":["Bad Request"]}`)
			return
		}
		for start, series := range s.series {
			if strings.HasPrefix(query.Get("query"), start) {
				answer(w, 200, series)
				return
			}
		}
		answer(w, 200, `{"status":"ok","series":[]}`)
	default:
		answer(w, http.StatusNotFound, `{"errors":["Not found"]}`)
	}
}

func datadogConfig() Config {
	return Config{Kind: "datadog", AuthRef: "token", AppAuthRef: "app"}
}

func series(scope string, values ...string) string {
	var points []string
	for i, v := range values {
		points = append(points, fmt.Sprintf("[%d.0,%s]", at.Add(time.Duration(i-len(values))*time.Minute).UnixMilli(), v))
	}
	return fmt.Sprintf(`{"metric":"m","scope":%q,"pointlist":[%s]}`, scope, strings.Join(points, ","))
}

func TestDatadog(t *testing.T) {
	t.Parallel()
	cfg := datadogConfig()
	above := 0.9
	cfg.NearInTime = true
	cfg.Queries = []Query{{Role: "file server", Name: "Disk in use", Query: "max:system.disk.in_use{ {{.Hosts}} } by {host}", Above: &above}}
	group := func(name, group string, minutesAgo int) string {
		return fmt.Sprintf(`{"group":%q,"group_tags":[%q],"last_triggered_ts":%d,"monitor_id":42,"monitor_name":%q,"status":"Alert"}`,
			group, group, at.Add(-time.Duration(minutesAgo)*time.Minute).Unix(), name)
	}
	sim := datadogSimulator{
		alerting: group("Disk full", "host:fs-01", 20) + "," + group("Router down", "host:rt-1", 2),
		warning:  group("Load", "host:other-1", 2),
		series: map[string]string{
			"max:system.disk.in_use{ host:fs-01.corp.example OR host:fs-01 } by {host}": `{"status":"ok","series":[` + series("host:fs-01", "0.5", "0.95", "null", "0.97", "0.6") + `]}`,
			"max:datadog.agent.running{": `{"status":"ok","series":[` + series("host:web-07", "1") + "," + series("host:fs-01", "1") + `]}`,
		},
	}
	found, err := open(t, sim, cfg).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	require.Equal(t, []brief{
		{"FS-01.corp.example", "Disk full", "critical", at.Add(-20 * time.Minute), true},
		{"rt-1", "Router down", "critical", at.Add(-2 * time.Minute), false},
		{"FS-01.corp.example", "Disk in use: 0.97", "warning", at.Add(-4 * time.Minute), true},
		{"web-07", "the agent reports, no monitor alerts", "ok", at, true},
	}, briefs(found))
}

func TestDatadogFailures(t *testing.T) {
	t.Parallel()
	cfg := datadogConfig()
	cfg.AppAuthRef = "token"
	_, err := open(t, datadogSimulator{}, cfg).Observe(t.Context(), request(fileServer))
	require.True(t, fault.Is(err, fault.Unauthenticated), "%v", err)

	_, err = open(t, datadogSimulator{limited: true}, datadogConfig()).Observe(t.Context(), request(fileServer))
	require.True(t, fault.Is(err, fault.Limited), "%v", err)
	require.Equal(t, 17*time.Second, fault.RetryAfterOf(err))

	broken := datadogSimulator{series: map[string]string{"max:": `{"status":"error","error":"secret","series":[]}`}}
	_, err = open(t, broken, datadogConfig()).Observe(t.Context(), request(fileServer))
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.NotContains(t, err.Error(), "secret")
}

func TestDatadogSite(t *testing.T) {
	t.Parallel()
	for api, site := range map[string]string{
		"https://api.datadoghq.com": "https://app.datadoghq.com", "https://api.datadoghq.eu": "https://app.datadoghq.eu",
		"https://api.us3.datadoghq.com": "https://us3.datadoghq.com", "https://proxy.example": "https://proxy.example",
	} {
		base, err := url.Parse(api)
		require.NoError(t, err)
		require.Equal(t, site, datadogSite(base).String())
	}
}
