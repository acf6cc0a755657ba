package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// metricNames are the names of metrics in the product's sources.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	quoted := regexp.MustCompile(`"(aiagents_[a-z0-9_]+)"`)
	for _, pattern := range []string{"../../app/*.go", "../../app/*/*.go", "../../db/*.go", "../../modules/*/*.go", "../../modules/*/*/*.go", "../../internal/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range quoted.FindAllStringSubmatch(string(content), -1) {
				names[m[1]] = true
				names[m[1]+"_bucket"], names[m[1]+"_count"], names[m[1]+"_sum"] = true, true, true
			}
		}
	}
	return names
}

var metricInQuery = regexp.MustCompile(`\baiagents_[a-z0-9_]+`)

func TestAlertsAndScalersAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := metricNames(t)
	require.Contains(t, known, "aiagents_queue_depth")
	require.NotContains(t, known, "aiagents_queue_length")
	for name, overlays := range matrix(t) {
		for _, text := range mapValues(t, overlays) {
			for _, line := range strings.Split(text, "\n") {
				if !strings.Contains(line, "query:") && !strings.Contains(line, "expr") && !strings.Contains(line, "(aiagents_") {
					continue
				}
				for _, metric := range metricInQuery.FindAllString(line, -1) {
					require.True(t, known[metric], "%s: %s", name, metric)
				}
			}
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	rule := one[*monitoringv1.PrometheusRule](t, render(t, matrix(t)["production"]...), "")
	seen := map[string]bool{}
	for _, group := range rule.Spec.Groups {
		for _, r := range group.Rules {
			if r.Alert == "" {
				continue
			}
			require.False(t, seen[r.Alert], r.Alert)
			seen[r.Alert] = true
			require.Contains(t, []string{"info", "warning", "critical"}, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
			require.FileExists(t, filepath.Join("../..", r.Annotations["runbook_url"]), r.Alert)
		}
	}
	require.NotEmpty(t, seen)
}

func TestRunbooksCanBeLinkedWhereAPersonReadsThem(t *testing.T) {
	t.Parallel()
	objects := render(t, append(matrix(t)["production"], parse(t, `{metrics: {rules: {runbookURL: "https://wiki.example.com/aiagents"}}}`))...)
	for _, group := range one[*monitoringv1.PrometheusRule](t, objects, "").Spec.Groups {
		for _, r := range group.Rules {
			if r.Alert != "" {
				require.Regexp(t, `^https://wiki\.example\.com/aiagents/[a-z-]+\.md$`, r.Annotations["runbook_url"])
			}
		}
	}
}

func TestTheDashboardReachesGrafanaWhole(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(chartDir, "dashboards", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	objects := render(t, matrix(t)["service monitor"]...)
	for _, file := range files {
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		name := filepath.Base(file)
		m := one[*corev1.ConfigMap](t, objects, "-"+strings.TrimSuffix(name, ".json")+"-dashboard")
		require.JSONEq(t, string(want), m.Data[name])
		require.Equal(t, "1", m.Labels["grafana_dashboard"])
		ids := map[float64]bool{}
		var d struct {
			Panels []struct {
				ID float64 `json:"id"`
			} `json:"panels"`
		}
		require.NoError(t, json.Unmarshal(want, &d))
		for _, p := range d.Panels {
			require.False(t, ids[p.ID])
			ids[p.ID] = true
		}
		require.NotEmpty(t, ids)
	}
}
