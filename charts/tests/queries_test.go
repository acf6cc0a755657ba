package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// ruleFile is rules/aiagents.yaml.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func (r rule) name() string { return r.Record + r.Alert }

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(chartDir, "rules", "aiagents.yaml"))
	require.NoError(t, err)
	var file ruleFile
	require.NoError(t, yaml.UnmarshalStrict(raw, &file, yaml.DisallowUnknownFields))
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	require.NotEmpty(t, rules)
	return rules
}

// catalogue is what may be asked for: metrics with their labels and the values that these have been seen with.
type catalogue map[string]map[string][]string

// targetLabels are those that Prometheus adds, not the program.
var targetLabels = []string{"namespace", "pod", "instance", "job"}

// problem says what a query asks for that nobody exports; empty when all is well.
func (c catalogue) problem(query string) string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return err.Error()
	}
	var problem string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if p := c.selector(n); p != "" {
				problem = p
			}
		case *parser.AggregateExpr:
			if p := c.grouping(n); p != "" {
				problem = p
			}
		}
		return nil
	})
	return problem
}

func (c catalogue) selector(n *parser.VectorSelector) string {
	known, ok := c[n.Name]
	if !ok {
		return "nobody exports " + n.Name
	}
	for _, m := range n.LabelMatchers {
		if m.Name == labels.MetricName || slices.Contains(targetLabels, m.Name) {
			continue
		}
		values, ok := known[m.Name]
		if !ok {
			return fmt.Sprintf("%s has no label %s", n.Name, m.Name)
		}
		// A value that never occurs is misspelt; "not this one" and the dashboards' own variables match anything.
		if (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp) && !slices.ContainsFunc(values, m.Matches) {
			return fmt.Sprintf("%s is never %s", n.Name, m)
		}
		if m.Type == labels.MatchRegexp && m.Value != ".*" {
			for _, value := range strings.Split(m.Value, "|") {
				one := labels.MustNewMatcher(labels.MatchRegexp, m.Name, value)
				if !slices.ContainsFunc(values, one.Matches) {
					return fmt.Sprintf("%s is never %s", n.Name, one)
				}
			}
		}
	}
	return ""
}

// grouping checks that what an aggregation keeps is a label of everything inside it.
func (c catalogue) grouping(n *parser.AggregateExpr) string {
	var problem string
	parser.Inspect(n.Expr, func(node parser.Node, _ []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		for _, label := range n.Grouping {
			if _, ok := c[v.Name][label]; !ok && !slices.Contains(targetLabels, label) {
				problem = fmt.Sprintf("%s has no label %s", v.Name, label)
			}
		}
		return nil
	})
	return problem
}

// withRecords adds what the recording rules make.
func (c catalogue) withRecords(rules []rule) catalogue {
	for _, r := range rules {
		if r.Record != "" {
			c[r.Record] = map[string][]string{}
		}
	}
	return c
}

// dashboardQueries are the queries of all panels and variables, by where they stand.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "dashboards", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	queries := map[string]string{}
	for _, file := range files {
		d := readDashboard(t, file)
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				queries[filepath.Base(file)+": "+p.Title+" "+target.RefID] = grafana.Replace(target.Expr)
			}
		}
		for _, v := range d.Templating.List {
			if m := labelValues.FindStringSubmatch(v.Query); m != nil {
				queries[filepath.Base(file)+": $"+v.Name] = fmt.Sprintf("count by (%s) (%s)", m[2], m[1])
			}
		}
	}
	return queries
}

// grafana stands in for Grafana's variables.
var (
	grafana     = strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h", "$namespace", ".*", "$tenant", ".*")
	labelValues = regexp.MustCompile(`^label_values\(([a-z_]+), ([a-z_]+)\)$`)
)

type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct{ Name, Type, Query string } `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID      string `json:"refId"`
		Expr       string `json:"expr"`
		Datasource struct {
			UID string `json:"uid"`
		} `json:"datasource"`
	} `json:"targets"`
}

func readDashboard(t *testing.T, file string) (d dashboard) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &d))
	return d
}

func TestEveryPanelIsUnderstandable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(chartDir, "dashboards", "*.json"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, file := range files {
		d := readDashboard(t, file)
		require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".json"), d.UID)
		require.NotEmpty(t, d.Title)
		for _, p := range d.Panels {
			require.NotEmpty(t, p.Title, d.UID)
			key := fmt.Sprint(d.UID, p.ID)
			require.False(t, seen[key], key)
			seen[key] = true
			if p.Type == "row" {
				continue
			}
			require.NotEmpty(t, p.Description, p.Title)
			require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
			require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
			require.NotEmpty(t, p.Targets, p.Title)
			for _, target := range p.Targets {
				require.Equal(t, "${datasource}", target.Datasource.UID, p.Title)
			}
		}
	}
}

// The program is asked, with a model, a desk and a ticket behind it, and every query is held against its answer.
func TestEveryQueryAsksForWhatTheProgramExports(t *testing.T) {
	t.Parallel()
	rules := readRules(t)
	known := exported(t).withRecords(rules)
	queries := dashboardQueries(t)
	for _, r := range rules {
		queries[r.name()] = r.Expr
	}
	var problems []string
	for where, query := range queries {
		if p := known.problem(query); p != "" {
			problems = append(problems, where+": "+p)
		}
	}
	require.Empty(t, problems)
	for query, want := range map[string]string{
		`sum(aiagents_queue_length)`:                                         "nobody exports",
		`sum by (tenant) (aiagents_queue_depth)`:                             "no label tenant",
		`aiagents_queue_depth{status="available"}`:                           "no label status",
		`aiagents_queue_depth{state="avialable"}`:                            "never",
		`rate(aiagents_webhook_requests_total{answer=~"accepted|okay"}[5m])`: "never",
		`sum(rate(aiagents_queue_depth[5m])`:                                 "unclosed",
		`aiagents_enhancement_duration_seconds`:                              "nobody exports",
	} {
		require.Contains(t, known.problem(query), want, query)
	}
}
