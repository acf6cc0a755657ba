package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// promtool builds Prometheus' own tool at its pinned version. Without the tag it would know every cloud's service discovery.
func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "promtool")
	build := exec.Command("go", "build", "-tags", "remove_all_sd", "-o", file, "github.com/prometheus/prometheus/cmd/promtool")
	build.Dir = "../../tools/promtool"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(file, args...).CombinedOutput()
	return string(out), err
}

func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("rules/*.test.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestEveryRulePassesItsUnitTests(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, append([]string{"test", "rules"}, ruleTests(t)...)...)
	require.NoError(t, err, out)
	broken := filepath.Join(t.TempDir(), "broken.test.yaml")
	raw, err := os.ReadFile("rules/aiagents.test.yaml")
	require.NoError(t, err)
	rules, err := filepath.Abs("../aiagents/rules/aiagents.yaml")
	require.NoError(t, err)
	// One case with its expectation turned round must fail, or nothing was tested.
	text := strings.Replace(string(raw), "../../aiagents/rules/aiagents.yaml", rules, 1)
	head, rest, found := strings.Cut(text, `  - name: "AiagentsNoWorker: does not fire"`)
	require.True(t, found)
	preamble, _, _ := strings.Cut(head, "tests:\n")
	one, _, _ := strings.Cut(rest, "  - name:")
	wrong := preamble + "tests:\n  - name: wrong\n" + strings.Replace(strings.SplitN(one, "\n", 2)[1], "1x20", "0x20", 1)
	require.NoError(t, os.WriteFile(broken, []byte(wrong), 0o600))
	out, err = promtool(t, "test", "rules", broken)
	require.Error(t, err, out)
	require.Contains(t, out, "AiagentsNoWorker")
}

type ruleTest struct {
	Name        string `json:"name"`
	InputSeries []struct {
		Series string `json:"series"`
	} `json:"input_series"`
	Alerts []struct {
		AlertName string           `json:"alertname"`
		Expected  []map[string]any `json:"exp_alerts"`
	} `json:"alert_rule_test"`
	Queries []struct {
		Expr     string           `json:"expr"`
		Expected []map[string]any `json:"exp_samples"`
	} `json:"promql_expr_test"`
}

func readRuleTests(t *testing.T) (tests []ruleTest) {
	t.Helper()
	for _, name := range ruleTests(t) {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		var file struct {
			Tests []ruleTest `json:"tests"`
		}
		require.NoError(t, yaml.Unmarshal(raw, &file))
		tests = append(tests, file.Tests...)
	}
	return tests
}

// Every alert fires in one test, does not in another, and has a third without its series; every record is asked for in all.
func TestEveryRuleHasItsThreeTests(t *testing.T) {
	t.Parallel()
	cases := map[string]map[string]bool{}
	tell := func(rule, what string) {
		if cases[rule] == nil {
			cases[rule] = map[string]bool{}
		}
		cases[rule][what] = true
	}
	for _, test := range readRuleTests(t) {
		_, what, _ := strings.Cut(test.Name, ": ")
		for _, s := range test.InputSeries {
			if what == "absent series" {
				require.True(t, strings.HasPrefix(s.Series, "up{"), test.Name)
			}
		}
		for _, a := range test.Alerts {
			// Nothing at all is what the alert about absence is for.
			if fires := what == "fires" || a.AlertName == "AiagentsMetricsAbsent" && what == "absent series"; fires == (len(a.Expected) > 0) {
				tell(a.AlertName, what)
			}
		}
		for _, q := range test.Queries {
			if (what == "absent series") == (len(q.Expected) == 0) {
				tell(q.Expr, what)
			}
		}
	}
	for _, r := range readRules(t) {
		for _, what := range []string{"fires", "does not fire", "absent series"} {
			require.True(t, cases[r.name()][what], "%s has no test: %s", r.name(), what)
		}
	}
}
