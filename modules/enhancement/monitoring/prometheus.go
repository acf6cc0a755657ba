package monitoring

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// prometheus asks a Prometheus, or anything with its query API: Mimir, Thanos, VictoriaMetrics.
type prometheus struct {
	server
	labels    map[string]string
	hostLabel string
	queries   []Query
}

// Observe reports alerts that fire, alerts that fired in the window and ended, the configured queries at the ticket's time,
// and scrape targets that are down. A host that is scraped and has none of these is healthy.
func (p *prometheus) Observe(ctx context.Context, req Request) ([]evidence.Observation, error) {
	if p.idle(req) {
		return nil, nil
	}
	observations, firing, err := p.alerts(ctx, req)
	if err != nil {
		return nil, err
	}
	ended, err := p.endedAlerts(ctx, req, firing)
	if err != nil {
		return nil, err
	}
	observations = append(observations, ended...)
	if len(req.Hosts) == 0 {
		return observations, nil
	}
	for i := range p.queries {
		found, err := p.ask(ctx, req, &p.queries[i])
		if err != nil {
			return observations, err
		}
		observations = append(observations, found...)
	}
	targets, up, err := p.targets(ctx, req)
	if err != nil {
		return observations, err
	}
	observations = append(observations, targets...)
	up = withoutProblems(up, observations)
	summary := fmt.Sprintf("scraped and up, no alert in the %d minutes before the ticket", req.minutes())
	return append(observations, healthy(p.name, p.linkTo("up"), up, summary, req.At)...), nil
}

// withoutProblems drops the hosts that something is wrong with.
func withoutProblems(hosts []string, observations []evidence.Observation) []string {
	return slices.DeleteFunc(hosts, func(host string) bool {
		return slices.ContainsFunc(observations, func(o evidence.Observation) bool { return o.AboutHost && o.Host == host })
	})
}

type promAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
}

// alerts returns what fires now, and the label sets of it.
func (p *prometheus) alerts(ctx context.Context, req Request) ([]evidence.Observation, map[string]bool, error) {
	var data struct {
		Alerts []promAlert `json:"alerts"`
	}
	if err := p.call(&data, func(answer any) error { return p.client.get(ctx, "api/v1/alerts", nil, answer) }); err != nil {
		return nil, nil, err
	}
	firing := map[string]bool{}
	var observations []evidence.Observation
	for _, a := range data.Alerts {
		if a.State != "firing" || !hasLabels(a.Labels, p.labels) || !req.relevant(a.ActiveAt) {
			continue
		}
		firing[fingerprint(a.Labels)] = true
		o := evidence.Observation{
			Provider: p.name, Summary: alertSummary(a.Labels, a.Annotations), Severity: severityOf(a.Labels["severity"]),
			Since: a.ActiveAt, URL: p.linkTo(selector("ALERTS", map[string]string{"alertname": a.Labels["alertname"]})),
		}
		if p.place(&o, req, a.Labels) {
			observations = append(observations, o)
		}
	}
	return observations, firing, nil
}

// place says whose the observation is, and whether it is worth telling: about a host of the ticket, or, where the server
// is the tenant's alone, a critical one that began near the ticket's time.
func (s server) place(o *evidence.Observation, req Request, labels map[string]string) bool {
	if h, ok := hostOf(req.Hosts, labels); ok {
		o.Host, o.AboutHost = display(h), true
		return true
	}
	for _, label := range hostLabels {
		o.Host = cmp.Or(o.Host, withoutPort(labels[label]))
	}
	return s.nearInTime && o.Severity == SeverityCritical && req.recent(o.Since)
}

// endedAlerts finds alerts of the hosts that fired within the window and do not fire any more.
func (p *prometheus) endedAlerts(ctx context.Context, req Request, firing map[string]bool) ([]evidence.Observation, error) {
	where := maps.Clone(p.labels)
	if where == nil {
		where = map[string]string{}
	}
	where["alertstate"] = "firing"
	query := fmt.Sprintf("min_over_time(timestamp(%s)[%dm:1m])", selector("ALERTS", where), req.minutes())
	series, err := p.query(ctx, query, req.At)
	if err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	for _, s := range series {
		labels := maps.Clone(s.Metric)
		delete(labels, "__name__")
		delete(labels, "alertstate")
		h, ours := hostOf(req.Hosts, labels)
		if !ours || firing[fingerprint(labels)] {
			continue
		}
		observations = append(observations, evidence.Observation{
			Provider: p.name, Host: display(h), AboutHost: true, Summary: alertSummary(labels, nil) + " (ended since)",
			Severity: severityOf(labels["severity"]), Since: time.Unix(int64(s.value), 0).UTC(),
			URL: p.linkTo(selector("ALERTS", map[string]string{"alertname": labels["alertname"]})),
		})
	}
	return observations, nil
}

func (p *prometheus) ask(ctx context.Context, req Request, q *Query) ([]evidence.Observation, error) {
	hosts := withRole(req.Hosts, q.Role)
	if len(hosts) == 0 {
		return nil, nil
	}
	text, err := q.text(promHosts(hosts))
	if err != nil {
		return nil, fault.Newf(fault.Invalid, "the query %q cannot be made", q.Name)
	}
	series, err := p.query(ctx, text, req.At)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", q.Name, err)
	}
	var observations []evidence.Observation
	for _, s := range series {
		h, ours := p.hostOf(hosts, s.Metric)
		if !ours || !q.breached(s.value) {
			continue
		}
		o := q.observation(p.name, h, s.value)
		o.Since, o.URL = req.At, p.linkTo(text)
		observations = append(observations, o)
	}
	return observations, nil
}

// targets asks which of the hosts are scraped, and returns those that are down as observations and those that are up.
func (p *prometheus) targets(ctx context.Context, req Request) (down []evidence.Observation, up []string, err error) {
	matchers := append(matchersOf(p.labels), fmt.Sprintf(`%s=~"%s"`, p.hostLabel, promHosts(req.Hosts)))
	text := "up{" + strings.Join(matchers, ",") + "}"
	series, err := p.query(ctx, text, req.At)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range series {
		h, ours := p.hostOf(req.Hosts, s.Metric)
		if !ours {
			continue
		}
		if s.value != 0 {
			if !slices.Contains(up, display(h)) {
				up = append(up, display(h))
			}
			continue
		}
		down = append(down, evidence.Observation{
			Provider: p.name, Host: display(h), AboutHost: true, Severity: SeverityCritical, Since: req.At,
			Summary: fmt.Sprintf("target down: job %s cannot be scraped", cmp.Or(s.Metric["job"], "unknown")), URL: p.linkTo(text),
		})
	}
	return down, up, nil
}

func (p *prometheus) hostOf(hosts []evidence.System, labels map[string]string) (evidence.System, bool) {
	if h, ok := hostNamed(hosts, labels[p.hostLabel]); ok {
		return h, true
	}
	return hostOf(hosts, labels)
}

type promSeries struct {
	Metric map[string]string  `json:"metric"`
	Value  [2]json.RawMessage `json:"value"`
	value  float64
}

// query runs an instant query. It is sent as a form: a query string would end up in access logs.
func (p *prometheus) query(ctx context.Context, text string, at time.Time) ([]promSeries, error) {
	var data struct {
		ResultType string       `json:"resultType"`
		Result     []promSeries `json:"result"`
	}
	form := url.Values{"query": {text}, "time": {strconv.FormatInt(at.Unix(), 10)}, "timeout": {"10s"}}
	if err := p.call(&data, func(answer any) error { return p.client.postForm(ctx, "api/v1/query", form, answer) }); err != nil {
		return nil, err
	}
	if data.ResultType != "vector" {
		return nil, fault.Newf(fault.Invalid, "a Prometheus query gives a %q instead of a vector", oneLine(data.ResultType))
	}
	var series []promSeries
	for _, s := range data.Result {
		var value string
		if err := json.Unmarshal(s.Value[1], &value); err != nil {
			return nil, fault.New(fault.Unavailable, "a Prometheus sample has no value")
		}
		var err error
		if s.value, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(s.value) {
			continue // NaN says nothing
		}
		series = append(series, s)
	}
	return series, nil
}

// call unwraps Prometheus's envelope.
func (p *prometheus) call(data any, send func(answer any) error) error {
	var envelope struct {
		Status    string          `json:"status"`
		ErrorType string          `json:"errorType"`
		Data      json.RawMessage `json:"data"`
	}
	if err := send(&envelope); err != nil {
		return err
	}
	if envelope.Status != "success" {
		return fault.Newf(fault.Unavailable, "Prometheus answers with an error of type %q", oneLine(envelope.ErrorType))
	}
	if err := json.Unmarshal(envelope.Data, data); err != nil {
		return fault.New(fault.Unavailable, "Prometheus's answer is not the expected JSON")
	}
	return nil
}

func (p *prometheus) linkTo(query string) string {
	u := p.link.JoinPath("graph")
	u.RawQuery = url.Values{"g0.expr": {query}, "g0.tab": {"1"}}.Encode()
	return u.String()
}

func matchersOf(labels map[string]string) []string {
	var matchers []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		matchers = append(matchers, name+"="+strconv.Quote(labels[name]))
	}
	return matchers
}

func selector(metric string, labels map[string]string) string {
	return metric + "{" + strings.Join(matchersOf(labels), ",") + "}"
}

func hasLabels(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return true
}

func fingerprint(labels map[string]string) string { return strings.Join(matchersOf(labels), ",") }

// alertSummary is the alert's name with the first text that its author gave it.
func alertSummary(labels, annotations map[string]string) string {
	text := cmp.Or(annotations["summary"], annotations["description"], annotations["message"])
	if text == "" {
		return labels["alertname"]
	}
	return strings.TrimPrefix(labels["alertname"]+": "+text, ": ")
}

// number prints a value with at most two decimals.
func number(value float64) string {
	return strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
}
