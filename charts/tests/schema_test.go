package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv3 "gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	for text, names := range map[string]string{
		`replicaCount: 3`:                                    "replicaCount",
		`api: {replica: 3}`:                                  "replica",
		`api: {replicas: 0}`:                                 "replicas",
		`api: {replicas: "2"}`:                               "replicas",
		`environment: prod`:                                  "environment",
		`worker: {autoscaling: {mode: off}}`:                 "mode",
		`worker: {autoscaling: {minReplicas: 0}}`:            "minReplicas",
		`worker: {autoscaling: {trigger: cpu}}`:              "trigger",
		`image: {digest: latest}`:                            "digest",
		`image: {repository: ""}`:                            "repository",
		`secrets: {openaiApiKey: sk-123}`:                    "openaiApiKey",
		`secrets: {openaiApiKey: {value: sk-123}}`:           "value",
		`secrets: {adminToken: {secretName: "Not A Name"}}`:  "secretName",
		`database: {app: {password: {value: hunter2}}}`:      "value",
		`database: {sslMode: allow}`:                         "sslMode",
		`database: {ca: {secretName: a, configMapName: b}}`:  "ca",
		`config: {openai: {api_key: sk-123}}`:                "api_key",
		`config: {database: {url: "postgres://"}}`:           "url",
		`config: {http: {addr: ":9"}}`:                       "addr",
		`config: {worker: {soft_stop: 1s}}`:                  "soft_stop",
		`config: {webhok: {}}`:                               "webhok",
		`config: {log: {level: verbose}}`:                    "level",
		`config: {openai: {timeout: 30}}`:                    "timeout",
		`config: {openai: {timeout: 30 s}}`:                  "timeout",
		`config: {http: {trusted_proxies: 10.0.0.0/8}}`:      "trusted_proxies",
		`egress: {privateRanges: [10.0.0.0/8]}`:              "privateRanges",
		`egress: {privateRanges: [{cidr: 10.0.0.0/8}]}`:      "ports",
		`egress: {privateRanges: [{cidr: ten, ports: [1]}]}`: "cidr",
		`networkPolicy: {database: {ports: []}}`:             "ports",
		`networkPolicy: {database: {ports: [70000]}}`:        "ports",
		`ingress: {host: "https://desk.example.com"}`:        "host",
		`ingress: {path: /}`:                                 "path",
		`service: {type: ExternalName}`:                      "type",
		`metrics: {monitor: true}`:                           "monitor",
		`extraEnv: {A: b}`:                                   "extraEnv",
		`commonLabels: {a: 1}`:                               "commonLabels",
	} {
		_, err := manifests(t, parse(t, base), parse(t, text))
		require.ErrorContains(t, err, names, text)
		require.ErrorContains(t, err, "values don't meet the specifications of the schema", text)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"database.app:":                       `{}`,
		"database.owner:":                     `{database: {app: {secretName: a}}, secrets: {encryptionKeys: {secretName: k}}}`,
		"secrets.encryptionKeys.secretName:":  `database: {app: {secretName: a}, owner: {secretName: b}}`,
		"database.app.database:":              `{database: {app: {user: {value: app}}, owner: {secretName: b}}, secrets: {encryptionKeys: {secretName: k}}}`,
		"ingress.host:":                       base + `ingress: {enabled: true}`,
		"worker.autoscaling.keda.connection":  base + `worker: {autoscaling: {mode: keda}}`,
		"worker.autoscaling.keda.prometheus.": base + `worker: {autoscaling: {mode: keda, keda: {source: prometheus}}}`,
	} {
		_, err := manifests(t, parse(t, text))
		require.ErrorContains(t, err, want)
	}
}

// noneOpen lists the objects of a schema that take keys they do not name.
func noneOpen(schema map[string]any, path string) (open []string) {
	properties, hasProperties := schema["properties"].(map[string]any)
	if hasProperties && schema["additionalProperties"] != false && !strings.HasSuffix(path, ".not") {
		open = append(open, path)
	}
	for name, sub := range properties {
		if m, ok := sub.(map[string]any); ok {
			open = append(open, noneOpen(m, path+"."+name)...)
		}
	}
	defs, _ := schema["$defs"].(map[string]any)
	for name, sub := range defs {
		open = append(open, noneOpen(sub.(map[string]any), "$defs."+name)...)
	}
	return open
}

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	var schema map[string]any
	require.NoError(t, json.Unmarshal(loadChart(t).Schema, &schema))
	return schema
}

func TestTheSchemaIsStrictEverywhere(t *testing.T) {
	t.Parallel()
	schema := readSchema(t)
	require.Empty(t, noneOpen(schema, ""))
	delete(schema["properties"].(map[string]any)["api"].(map[string]any), "additionalProperties")
	require.Equal(t, []string{".api"}, noneOpen(schema, ""))
}

// keysOf lists the leaves that the schema names under one of its objects.
func keysOf(schema map[string]any, path string) (keys []string) {
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return []string{path}
	}
	for name, sub := range properties {
		keys = append(keys, keysOf(sub.(map[string]any), strings.TrimPrefix(path+"."+name, "."))...)
	}
	slices.Sort(keys)
	return keys
}

// chartOwned are the settings that values.config may not hold, since they are secrets or the chart sets them itself.
var chartOwned = []string{
	"data_dir", "database.listen_url", "database.migration_url", "database.url", "egress.allow_cidrs", "egress.ca_file", "encryption.keys", "environment",
	"http.addr", "http.shutdown_delay", "openai.api_key", "openai.ca_file", "ops.addr", "ops.admin_token",
	"retrieval.embeddings.api_key", "worker.soft_stop",
}

func TestTheSchemaKnowsEverySettingOfTheProgram(t *testing.T) {
	t.Parallel()
	config := readSchema(t)["properties"].(map[string]any)["config"].(map[string]any)
	var want []string
	for _, s := range programSettings(t) {
		if !slices.Contains(chartOwned, s.key) {
			want = append(want, s.key)
		}
	}
	require.Equal(t, want, keysOf(config, ""), "run `aiagents config show` and bring config in values.schema.json in line")
}

// uncommented lists keys of a values file without a comment that says what they mean.
func uncommented(node *yamlv3.Node, path string) (bare []string) {
	if node.Kind == yamlv3.DocumentNode {
		return uncommented(node.Content[0], path)
	}
	if node.Kind != yamlv3.MappingNode || node.Style&yamlv3.FlowStyle != 0 {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		sub := strings.TrimPrefix(path+"."+key.Value, ".")
		block := value.Kind == yamlv3.MappingNode && value.Style&yamlv3.FlowStyle == 0
		if key.HeadComment == "" && !block {
			bare = append(bare, sub)
		}
		bare = append(bare, uncommented(value, sub)...)
	}
	return bare
}

func TestEveryValueIsExplained(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	require.NoError(t, err)
	var node yamlv3.Node
	require.NoError(t, yamlv3.Unmarshal(content, &node))
	// Fields of one form are explained once; Kubernetes' own defaults need no more than their heading.
	excused := regexp.MustCompile(`^(networkPolicy\.(webhooksFrom|metricsFrom)|ingress\.annotations\..*|networkPolicy\.dns\.to)`)
	require.Empty(t, slices.DeleteFunc(uncommented(&node, ""), excused.MatchString))

	require.NoError(t, yamlv3.Unmarshal([]byte("a: 1\n# said\nb: {c: 1}\n"), &node))
	require.Equal(t, []string{"a"}, uncommented(&node, ""))
}

// No default of a chart may be a secret: whoever forgets to change it is open.
func TestNoValueIsASecret(t *testing.T) {
	t.Parallel()
	suspicious := regexp.MustCompile(`(?i)(password|secret|token|key)\w*: *["']?[A-Za-z0-9+/]{16,}`)
	require.Regexp(t, suspicious, `adminToken: abcdefghijklmnop`)
	files, err := filepath.Glob(filepath.Join(chartDir, "values*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotRegexp(t, suspicious, string(content), file)
	}
	require.NotContains(t, strings.Join(mapValues(t, matrix(t)["production"]), "\n"), "kind: Secret\n")
}

func mapValues(t *testing.T, overlays []values) (out []string) {
	t.Helper()
	files, err := manifests(t, overlays...)
	require.NoError(t, err)
	for _, file := range sorted(files) {
		out = append(out, files[file])
	}
	return out
}

func TestHelmLint(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"values-local.yaml", "values-staging.yaml", "values-production.yaml"} {
		result := lint.All(chartDir, valuesFile(t, name), "ai-agents", true)
		for _, m := range result.Messages {
			require.Less(t, m.Severity, support.WarningSev, "%s: %s", name, m)
		}
	}
}
