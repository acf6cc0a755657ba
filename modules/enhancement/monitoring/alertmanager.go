package monitoring

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"aiagents/modules/enhancement/evidence"
)

// alertmanager asks the API v2 of an Alertmanager. It knows alerts, not hosts.
type alertmanager struct {
	server
	labels map[string]string
}

type amAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Status      struct {
		State string `json:"state"`
	} `json:"status"`
}

// Observe reports the active alerts, silenced ones included and said to be so. A host without one is reported as such,
// which is weaker than healthy: nobody says that the host is watched at all.
func (a *alertmanager) Observe(ctx context.Context, req Request) ([]evidence.Observation, error) {
	if a.idle(req) {
		return nil, nil
	}
	query := url.Values{
		"active": {"true"}, "silenced": {"true"}, "inhibited": {"false"}, "unprocessed": {"true"},
		"filter": matchersOf(a.labels),
	}
	var alerts []amAlert
	if err := a.client.get(ctx, "api/v2/alerts", query, &alerts); err != nil {
		return nil, err
	}
	var observations []evidence.Observation
	for _, alert := range alerts {
		if !hasLabels(alert.Labels, a.labels) || !req.relevant(alert.StartsAt) {
			continue
		}
		o := evidence.Observation{
			Provider: a.name, Summary: alertSummary(alert.Labels, alert.Annotations), Severity: severityOf(alert.Labels["severity"]),
			Since: alert.StartsAt, URL: a.linkTo(alert.Labels["alertname"]),
		}
		if alert.Status.State == "suppressed" {
			o.Summary += " (silenced)"
		}
		if a.place(&o, req, alert.Labels) {
			observations = append(observations, o)
		}
	}
	var quiet []string
	for _, h := range req.Hosts {
		if !slices.Contains(quiet, display(h)) {
			quiet = append(quiet, display(h))
		}
	}
	quiet = withoutProblems(quiet, observations)
	return append(observations, healthy(a.name, a.link.JoinPath("/").String(), quiet, "no active alert names it", req.At)...), nil
}

func (a *alertmanager) linkTo(alertname string) string {
	filter := url.Values{"silenced": {"true"}, "filter": {fmt.Sprintf("{alertname=%q}", alertname)}}
	return a.link.JoinPath("/").String() + "#/alerts?" + filter.Encode()
}
