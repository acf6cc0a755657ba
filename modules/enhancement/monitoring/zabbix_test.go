package monitoring

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

// zabbixSimulator answers like Zabbix 7: errors with HTTP 200, no auth property in the body, no unknown parameters.
type zabbixSimulator struct {
	hosts      string
	interfaces string
	events     string
	nearby     string
}

var zabbixParams = map[string][]string{
	"host.get":          {"output", "filter", "searchByAny"},
	"hostinterface.get": {"output", "filter", "searchByAny", "selectHosts"},
	"event.get": {
		"output", "source", "object", "value", "hostids", "severities", "problem_time_from", "problem_time_till",
		"time_from", "time_till", "selectHosts", "sortfield", "sortorder", "limit",
	},
}

func (s zabbixSimulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/zabbix/api_jsonrpc.php" {
		answer(w, http.StatusNotFound, `not found`)
		return
	}
	if r.Header.Get("Content-Type") != "application/json-rpc" {
		answer(w, http.StatusPreconditionFailed, ``)
		return
	}
	var call map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		refuse(w, -32700, "Parse error.", "Invalid JSON.")
		return
	}
	for key := range call {
		if !slices.Contains([]string{"jsonrpc", "method", "params", "id"}, key) {
			refuse(w, -32600, "Invalid request.", fmt.Sprintf("Invalid parameter \"/\": unexpected parameter \"%s\".", key))
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, -32602, "Invalid params.", "Not authorized.")
		return
	}
	s.call(w, call)
}

func (s zabbixSimulator) call(w http.ResponseWriter, call map[string]json.RawMessage) {
	var method string
	var params map[string]json.RawMessage
	if json.Unmarshal(call["method"], &method) != nil || json.Unmarshal(call["params"], &params) != nil || zabbixParams[method] == nil {
		refuse(w, -32601, "Method not found.", "Incorrect API.")
		return
	}
	for key := range params {
		if !slices.Contains(zabbixParams[method], key) {
			refuse(w, -32602, "Invalid params.", "unexpected parameter "+key)
			return
		}
	}
	_, from := params["problem_time_from"]
	_, till := params["problem_time_till"]
	if from != till {
		refuse(w, -32602, "Invalid params.", "problem_time_from and problem_time_till go together")
		return
	}
	result := map[string]string{"host.get": s.hosts, "hostinterface.get": s.interfaces, "event.get": s.events}[method]
	if method == "event.get" && !from {
		result = s.nearby
	}
	if result == "" {
		result = "[]"
	}
	answer(w, 200, `{"jsonrpc":"2.0","id":1,"result":`+result+`}`)
}

func refuse(w http.ResponseWriter, code int, message, data string) {
	body, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "error": map[string]any{"code": code, "message": message, "data": data}})
	answer(w, 200, string(body))
}

func zabbixConfig() Config {
	return Config{Kind: "zabbix", BaseURL: "/zabbix", AuthRef: "token"}
}

const zabbixHosts = `[{"hostid":"101","host":"FS-01","name":"File server","status":"0","maintenance_status":"0"},
	{"hostid":"109","host":"FS-01.other.example","name":"x","status":"0","maintenance_status":"0"}]`

func zabbixEventJSON(id, name, severity, recovery string, minutesAgo int, hostID string) string {
	return fmt.Sprintf(`{"eventid":%q,"objectid":"77","name":%q,"severity":%q,"clock":"%d","r_eventid":%q,"suppressed":"0","hosts":[{"hostid":%q,"name":"h%s"}]}`,
		id, name, severity, at.Add(-time.Duration(minutesAgo)*time.Minute).Unix(), recovery, hostID, hostID)
}

func TestZabbix(t *testing.T) {
	t.Parallel()
	sim := zabbixSimulator{
		hosts:      zabbixHosts,
		interfaces: `[{"ip":"2001:db8::7","dns":"","hosts":[{"hostid":"102","host":"frontend","name":"Frontend","status":"0","maintenance_status":"0"}]}]`,
		events: "[" + zabbixEventJSON("9001", "Disk E: 96 % full", "4", "0", 20, "101") + "," +
			zabbixEventJSON("9002", "High load", "2", "9003", 5, "101") + "]",
		nearby: "[" + zabbixEventJSON("9004", "Router down", "5", "0", 3, "500") + "," + zabbixEventJSON("9001", "Disk E: 96 % full", "4", "0", 20, "101") + "]",
	}
	cfg := zabbixConfig()
	found, err := open(t, sim, cfg).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	want := []brief{
		{"FS-01.corp.example", "Disk E: 96 % full", "critical", at.Add(-20 * time.Minute), true},
		{"FS-01.corp.example", "High load (resolved since)", "warning", at.Add(-5 * time.Minute), true},
		{"web-07", "monitored, no problem in the 30 minutes before the ticket", "ok", at, true},
	}
	require.Equal(t, want, briefs(found))
	require.Contains(t, found[0].URL, "/zabbix/tr_events.php?eventid=9001&triggerid=77")

	cfg.NearInTime = true
	found, err = open(t, sim, cfg).Observe(t.Context(), request(fileServer, webServer))
	require.NoError(t, err)
	require.Equal(t, append(want, brief{"h500", "Router down", "critical", at.Add(-3 * time.Minute), false}), briefs(found))
}

func TestZabbixDoesNotCallUnwatchedHostsHealthy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host string
		want []brief
	}{
		"unknown":        {"", nil},
		"not monitored":  {`{"hostid":"101","host":"FS-01","name":"","status":"1","maintenance_status":"0"}`, nil},
		"in maintenance": {`{"hostid":"101","host":"FS-01","name":"","status":"0","maintenance_status":"1"}`, []brief{{"FS-01.corp.example", "in maintenance", "info", at, true}}},
	} {
		found, err := open(t, zabbixSimulator{hosts: "[" + test.host + "]"}, zabbixConfig()).Observe(t.Context(), request(fileServer))
		require.NoError(t, err, name)
		require.Equal(t, test.want, briefs(found), name)
	}
}

func TestZabbixFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sim    zabbixSimulator
		change func(*Config)
		kind   fault.Kind
	}{
		"wrong token":  {zabbixSimulator{}, func(c *Config) { c.AuthRef = "app" }, fault.Unauthenticated},
		"wrong path":   {zabbixSimulator{}, func(c *Config) { c.BaseURL = "/" }, fault.Invalid},
		"not the list": {zabbixSimulator{hosts: `{"x":1}`}, nil, fault.Unavailable},
	} {
		cfg := zabbixConfig()
		if test.change != nil {
			test.change(&cfg)
		}
		_, err := open(t, test.sim, cfg).Observe(t.Context(), request(fileServer))
		require.True(t, fault.Is(err, test.kind), "%s: %v", name, err)
	}
	p := open(t, zabbixSimulator{}, zabbixConfig()).(*zabbix)
	require.True(t, fault.Is(p.call(t.Context(), "host.delete", map[string]any{}, nil), fault.Invalid), "an error with HTTP 200 is an error")
	require.True(t, fault.Is(p.call(t.Context(), "host.get", map[string]any{"nonsense": 1}, nil), fault.Invalid))
}
