package monitoring

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// zabbix asks the JSON-RPC API of Zabbix 7 with an API token.
type zabbix struct{ server }

type zabbixHost struct {
	ID          string `json:"hostid"`
	Host        string `json:"host"`
	Name        string `json:"name"`
	Status      string `json:"status"`             // "0" is monitored
	Maintenance string `json:"maintenance_status"` // "1" is in maintenance
}

type zabbixEvent struct {
	ID         string `json:"eventid"`
	TriggerID  string `json:"objectid"`
	Name       string `json:"name"`
	Severity   string `json:"severity"`
	Clock      string `json:"clock"`
	RecoveryID string `json:"r_eventid"`
	Suppressed string `json:"suppressed"`
	Hosts      []struct {
		ID   string `json:"hostid"`
		Name string `json:"name"`
	} `json:"hosts"`
}

// zabbixSeverities are Zabbix's six, in our words.
var zabbixSeverities = map[string]string{
	"0": SeverityInfo, "1": SeverityInfo, "2": SeverityWarning, "3": SeverityWarning, "4": SeverityCritical, "5": SeverityCritical,
}

const zabbixEventLimit = 50

// Observe finds the hosts by technical and visible name, address and DNS name, and reports the problems that they had within
// the window. A monitored host without one is healthy.
func (z *zabbix) Observe(ctx context.Context, req Request) ([]evidence.Observation, error) {
	known, err := z.hosts(ctx, req)
	if err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	if len(known) > 0 {
		if observations, err = z.problems(ctx, req, known); err != nil {
			return nil, err
		}
		observations = append(observations, z.fine(req, known, observations)...)
	}
	if z.nearInTime {
		nearby, err := z.nearby(ctx, req, known)
		if err != nil {
			return observations, err
		}
		observations = append(observations, nearby...)
	}
	return observations, nil
}

// watched is a host of the ticket as Zabbix knows it.
type watched struct {
	zabbixHost
	system evidence.System
}

// hosts returns what Zabbix knows of the request's hosts, by id.
func (z *zabbix) hosts(ctx context.Context, req Request) (map[string]watched, error) {
	var names, addresses []string
	for _, h := range req.Hosts {
		for _, name := range namesOf(h) {
			if _, err := netip.ParseAddr(name); err == nil {
				addresses = append(addresses, name)
			} else {
				names = append(names, spellings(h.Hostname)...)
			}
		}
	}
	known := map[string]watched{}
	output := []string{"hostid", "host", "name", "status", "maintenance_status"}
	if len(names) > 0 {
		var found []zabbixHost
		params := map[string]any{"output": output, "filter": map[string]any{"host": names, "name": names}, "searchByAny": true}
		if err := z.call(ctx, "host.get", params, &found); err != nil {
			return nil, err
		}
		for _, h := range found {
			if system, ours := hostNamed(req.Hosts, h.Host); ours {
				known[h.ID] = watched{h, system}
			} else if system, ours := hostNamed(req.Hosts, h.Name); ours {
				known[h.ID] = watched{h, system}
			}
		}
	}
	if len(addresses) > 0 || len(names) > 0 {
		return known, z.addByInterface(ctx, req, addresses, names, known)
	}
	return known, nil
}

// addByInterface finds the hosts that go by other names in Zabbix.
func (z *zabbix) addByInterface(ctx context.Context, req Request, addresses, names []string, known map[string]watched) error {
	var found []struct {
		IP    string       `json:"ip"`
		DNS   string       `json:"dns"`
		Hosts []zabbixHost `json:"hosts"`
	}
	params := map[string]any{
		"output": []string{"ip", "dns"}, "filter": map[string]any{"ip": addresses, "dns": names}, "searchByAny": true,
		"selectHosts": []string{"hostid", "host", "name", "status", "maintenance_status"},
	}
	if len(addresses) == 0 {
		params["filter"] = map[string]any{"dns": names}
	} else if len(names) == 0 {
		params["filter"] = map[string]any{"ip": addresses}
	}
	if err := z.call(ctx, "hostinterface.get", params, &found); err != nil {
		return err
	}
	for _, i := range found {
		system, ours := hostNamed(req.Hosts, i.IP)
		if !ours {
			system, ours = hostNamed(req.Hosts, i.DNS)
		}
		for _, h := range i.Hosts {
			if _, has := known[h.ID]; ours && !has {
				known[h.ID] = watched{h, system}
			}
		}
	}
	return nil
}

// spellings are the forms of a name that an exact filter may meet.
func spellings(hostname string) []string {
	hostname = strings.TrimRight(hostname, ".")
	short, _, _ := strings.Cut(hostname, ".")
	var forms []string
	for _, name := range []string{hostname, short} {
		for _, form := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if !slices.Contains(forms, form) {
				forms = append(forms, form)
			}
		}
	}
	return forms
}

func (z *zabbix) problems(ctx context.Context, req Request, known map[string]watched) ([]evidence.Observation, error) {
	ids := slices.Sorted(maps.Keys(known))
	events, err := z.events(ctx, map[string]any{
		"hostids": ids, "problem_time_from": req.from().Unix(), "problem_time_till": req.At.Unix(),
	})
	if err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	for _, e := range events {
		for _, h := range e.Hosts {
			if w, ours := known[h.ID]; ours {
				o := z.observation(e)
				o.Host, o.AboutHost = display(w.system), true
				observations = append(observations, o)
				break
			}
		}
	}
	return observations, nil
}

// fine reports the monitored hosts without a problem. A host in maintenance, or switched off in Zabbix, is not called healthy.
func (z *zabbix) fine(req Request, known map[string]watched, problems []evidence.Observation) []evidence.Observation {
	var hosts []string
	var observations []evidence.Observation
	for _, id := range slices.Sorted(maps.Keys(known)) {
		w := known[id]
		name := display(w.system)
		switch {
		case w.Maintenance == "1":
			observations = append(observations, evidence.Observation{
				Provider: z.name, Host: name, AboutHost: true, Severity: SeverityInfo, Since: req.At, Summary: "in maintenance", URL: z.link.String(),
			})
		case w.Status == "0" && !slices.Contains(hosts, name):
			hosts = append(hosts, name)
		}
	}
	slices.Sort(hosts)
	hosts = withoutProblems(hosts, append(slices.Clone(problems), observations...))
	summary := fmt.Sprintf("monitored, no problem in the %d minutes before the ticket", req.minutes())
	return append(observations, healthy(z.name, z.link.String(), hosts, summary, req.At)...)
}

// nearby reports high problems of other hosts that began within the window.
func (z *zabbix) nearby(ctx context.Context, req Request, known map[string]watched) ([]evidence.Observation, error) {
	events, err := z.events(ctx, map[string]any{
		"severities": []int{4, 5}, "time_from": req.from().Unix(), "time_till": req.At.Unix(),
	})
	if err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	for _, e := range events {
		if len(e.Hosts) == 0 {
			continue
		}
		if _, ours := known[e.Hosts[0].ID]; !ours {
			o := z.observation(e)
			o.Host = e.Hosts[0].Name
			observations = append(observations, o)
		}
	}
	return observations, nil
}

func (z *zabbix) events(ctx context.Context, params map[string]any) ([]zabbixEvent, error) {
	params["output"] = []string{"eventid", "objectid", "name", "severity", "clock", "r_eventid", "suppressed"}
	params["source"], params["object"], params["value"] = 0, 0, 1 // triggers that went into the problem state
	params["selectHosts"] = []string{"hostid", "name"}
	params["sortfield"], params["sortorder"] = []string{"clock", "eventid"}, "DESC"
	params["limit"] = zabbixEventLimit
	var events []zabbixEvent
	return events, z.call(ctx, "event.get", params, &events)
}

func (z *zabbix) observation(e zabbixEvent) evidence.Observation {
	seconds, _ := strconv.ParseInt(e.Clock, 10, 64) // an unreadable clock gives 1970, which nobody takes for an answer
	o := evidence.Observation{
		Provider: z.name, Summary: e.Name, Severity: cmp.Or(zabbixSeverities[e.Severity], SeverityWarning), Since: time.Unix(seconds, 0).UTC(),
	}
	if e.RecoveryID != "" && e.RecoveryID != "0" {
		o.Summary += " (resolved since)"
	} else if e.Suppressed == "1" {
		o.Summary += " (suppressed by maintenance)"
	}
	u := z.link.JoinPath("tr_events.php")
	u.RawQuery = url.Values{"triggerid": {e.TriggerID}, "eventid": {e.ID}}.Encode()
	o.URL = u.String()
	return o
}

// call sends one JSON-RPC request. Zabbix reports its errors with HTTP 200.
func (z *zabbix) call(ctx context.Context, method string, params, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Data    string `json:"data"`
		} `json:"error"`
	}
	if err := z.client.do(ctx, http.MethodPost, "api_jsonrpc.php", nil, "application/json-rpc", body, &answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if answer.Error != nil {
		text := strings.ToLower(answer.Error.Message + " " + answer.Error.Data)
		for _, refusal := range []string{"not authori", "session terminated", "token expired", "no permissions"} {
			if strings.Contains(text, refusal) {
				return fault.Newf(fault.Unauthenticated, "Zabbix refuses the token for %s (code %d)", method, answer.Error.Code)
			}
		}
		return fault.Newf(fault.Invalid, "Zabbix refuses %s (code %d)", method, answer.Error.Code)
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fault.Newf(fault.Unavailable, "Zabbix's answer to %s is not the expected JSON", method)
	}
	return nil
}
