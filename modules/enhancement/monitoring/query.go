package monitoring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"aiagents/modules/enhancement/evidence"
)

// Query asks for one figure of hosts of a role. Every series that comes back, and is above or below the threshold where
// there is one, is reported.
type Query struct {
	// Role is a part of the inventory's role, in any case; empty means every host.
	Role string `json:"role,omitempty"`
	// Name is what the note says, such as "Disk almost full".
	Name string `json:"name"`
	// Query is a template. {{.Hosts}} stands for the hosts: in PromQL a regular expression, as in
	// disk_used_percent{instance=~"{{.Hosts}}"} > 90; in Datadog's language a filter, as in
	// max:system.disk.in_use{ {{.Hosts}} } by {host}.
	Query string   `json:"query"`
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
	Unit  string   `json:"unit,omitempty"`
	// Severity is critical, warning (default) or info.
	Severity string `json:"severity,omitempty"`

	template *template.Template
}

func (q *Query) compile(kind string) error {
	if q.Name == "" {
		return errors.New("name: is missing")
	}
	if kind == "datadog" && q.Above == nil && q.Below == nil {
		return errors.New("above or below: is missing")
	}
	if !slices.Contains([]string{"", SeverityCritical, SeverityWarning, SeverityInfo}, q.Severity) {
		return fmt.Errorf("severity %q: must be critical, warning or info", q.Severity)
	}
	var err error
	if q.template, err = template.New("query").Option("missingkey=error").Parse(q.Query); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	const probe = "probe-host-0"
	text, err := q.text(probe)
	if err != nil {
		return err
	}
	// Without the hosts it would be a statement about everything, blamed on the ticket's hosts.
	if !strings.Contains(text, probe) {
		return errors.New("query: must use {{.Hosts}}")
	}
	return nil
}

func (q *Query) text(hosts string) (string, error) {
	var b strings.Builder
	if err := q.template.Execute(&b, map[string]string{"Hosts": hosts}); err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	return b.String(), nil
}

// breached reports whether a value is worth a line.
func (q *Query) breached(value float64) bool {
	if q.Above == nil && q.Below == nil {
		return true
	}
	return q.Above != nil && value > *q.Above || q.Below != nil && value < *q.Below
}

func (q *Query) observation(provider string, h evidence.System, value float64) evidence.Observation {
	return evidence.Observation{
		Provider: provider, Host: display(h), AboutHost: true, Severity: cmp.Or(q.Severity, SeverityWarning),
		Summary: strings.TrimSpace(fmt.Sprintf("%s: %s %s", q.Name, number(value), q.Unit)),
	}
}
