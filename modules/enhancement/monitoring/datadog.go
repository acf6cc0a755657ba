package monitoring

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// datadog asks the API v1 of a Datadog organisation: monitor groups that alert, and metrics.
type datadog struct {
	server
	queries []Query
}

// agentRunning is reported by every agent: hosts that have it are watched.
const agentRunning = "max:datadog.agent.running{%s} by {host}"

type datadogGroup struct {
	Group         string   `json:"group"`
	Tags          []string `json:"group_tags"`
	MonitorID     int64    `json:"monitor_id"`
	MonitorName   string   `json:"monitor_name"`
	Status        string   `json:"status"`
	LastTriggered int64    `json:"last_triggered_ts"`
}

type datadogSeries struct {
	Metric string        `json:"metric"`
	Scope  string        `json:"scope"`
	Points [][2]*float64 `json:"pointlist"`
}

// Observe reports the monitor groups that alert or warn and the configured queries over the window. A host whose agent
// reports and that has none of these is healthy.
func (d *datadog) Observe(ctx context.Context, req Request) ([]evidence.Observation, error) {
	if d.idle(req) {
		return nil, nil
	}
	var observations []evidence.Observation
	for _, status := range []string{"alert", "warn"} {
		found, err := d.monitors(ctx, req, status)
		if err != nil {
			return observations, err
		}
		observations = append(observations, found...)
	}
	for i := range d.queries {
		found, err := d.ask(ctx, req, &d.queries[i])
		if err != nil {
			return observations, err
		}
		observations = append(observations, found...)
	}
	filter := datadogHosts(req.Hosts)
	if filter == "" {
		return observations, nil
	}
	series, err := d.query(ctx, req, fmt.Sprintf(agentRunning, filter))
	if err != nil {
		return observations, err
	}
	var reporting []string
	for _, s := range series {
		if h, ours := hostOf(req.Hosts, tags(strings.Split(s.Scope, ","))); ours && !slices.Contains(reporting, display(h)) {
			reporting = append(reporting, display(h))
		}
	}
	reporting = withoutProblems(reporting, observations)
	summary := "the agent reports, no monitor alerts"
	return append(observations, healthy(d.name, d.link.JoinPath("infrastructure").String(), reporting, summary, req.At)...), nil
}

// monitors reports the groups of one status. The groups are matched to hosts here: the search knows no host filter.
func (d *datadog) monitors(ctx context.Context, req Request, status string) ([]evidence.Observation, error) {
	var answer struct {
		Groups []datadogGroup `json:"groups"`
	}
	query := url.Values{"query": {"group_status:" + status}, "page": {"0"}, "per_page": {"100"}}
	if err := d.client.get(ctx, "api/v1/monitor/groups/search", query, &answer); err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	for _, g := range answer.Groups {
		since := time.Unix(g.LastTriggered, 0).UTC()
		if !req.relevant(since) {
			continue
		}
		o := evidence.Observation{
			Provider: d.name, Summary: g.MonitorName, Severity: SeverityWarning, Since: since,
			URL: d.link.JoinPath("monitors", strconv.FormatInt(g.MonitorID, 10)).String(),
		}
		if status == "alert" {
			o.Severity = SeverityCritical
		}
		if d.place(&o, req, tags(append(strings.Split(g.Group, ","), g.Tags...))) {
			observations = append(observations, o)
		}
	}
	return observations, nil
}

func (d *datadog) ask(ctx context.Context, req Request, q *Query) ([]evidence.Observation, error) {
	hosts := withRole(req.Hosts, q.Role)
	filter := datadogHosts(hosts)
	if filter == "" {
		return nil, nil
	}
	text, err := q.text(filter)
	if err != nil {
		return nil, fault.Newf(fault.Invalid, "the query %q cannot be made", q.Name)
	}
	series, err := d.query(ctx, req, text)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", q.Name, err)
	}
	var observations []evidence.Observation
	for _, s := range series {
		h, ours := hostOf(hosts, tags(strings.Split(s.Scope, ",")))
		since, value, bad := worst(q, s.Points)
		if !ours || !bad {
			continue
		}
		o := q.observation(d.name, h, value)
		o.Since, o.URL = since, d.link.JoinPath("metric", "explorer").String()
		observations = append(observations, o)
	}
	return observations, nil
}

// worst returns the first time that a threshold was crossed, and the value furthest beyond it.
func worst(q *Query, points [][2]*float64) (since time.Time, value float64, bad bool) {
	for _, p := range points {
		if p[0] == nil || p[1] == nil || !q.breached(*p[1]) {
			continue
		}
		if !bad {
			since, value, bad = time.UnixMilli(int64(*p[0])).UTC(), *p[1], true
		}
		if q.Above != nil && *p[1] > *q.Above {
			value = max(value, *p[1])
		} else {
			value = min(value, *p[1])
		}
	}
	return since, value, bad
}

func (d *datadog) query(ctx context.Context, req Request, text string) ([]datadogSeries, error) {
	var answer struct {
		Status string          `json:"status"`
		Series []datadogSeries `json:"series"`
	}
	query := url.Values{
		"from": {strconv.FormatInt(req.from().Unix(), 10)}, "to": {strconv.FormatInt(req.At.Unix(), 10)}, "query": {text},
	}
	if err := d.client.get(ctx, "api/v1/query", query, &answer); err != nil {
		return nil, err
	}
	if answer.Status != "ok" {
		return nil, fault.Newf(fault.Invalid, "Datadog cannot run the query (status %q)", oneLine(answer.Status))
	}
	return answer.Series, nil
}

// tags turns "host:fs-01" into labels; of several values the first counts.
func tags(list []string) map[string]string {
	labels := map[string]string{}
	for _, tag := range list {
		name, value, _ := strings.Cut(strings.TrimSpace(tag), ":")
		labels[name] = cmp.Or(labels[name], value)
	}
	return labels
}

// datadogSite is where people reach the organisation whose API is at base: api.datadoghq.eu is app.datadoghq.eu,
// api.us3.datadoghq.com is us3.datadoghq.com.
func datadogSite(base *url.URL) *url.URL {
	site := *base
	if rest, ok := strings.CutPrefix(base.Host, "api."); ok {
		if strings.Count(rest, ".") == 1 {
			rest = "app." + rest
		}
		site.Host = rest
	}
	return &site
}
