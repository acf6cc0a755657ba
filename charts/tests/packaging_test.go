package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	composeloader "github.com/compose-spec/compose-go/v2/loader"
	composetypes "github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", name))
	require.NoError(t, err)
	return string(content)
}

func TestComposeSetsVariablesThatTheProgramKnows(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Command     []string           `json:"command"`
			Environment map[string]*string `json:"environment"`
		} `json:"services"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, "compose.yaml")), &compose))
	known := map[string]bool{}
	for _, s := range programSettings(t) {
		known[s.variable] = true
	}
	for _, name := range []string{"migrate", "api", "worker"} {
		service := compose.Services[name]
		require.NotEmpty(t, service.Environment, name)
		cmd := exec.Command(binary(t), append(slices.Clone(service.Command), "--help")...)
		require.NoError(t, cmd.Run(), "%s: %v", name, service.Command)
		check := exec.Command(binary(t), "config", "check")
		for variable, value := range service.Environment {
			require.True(t, known[variable], "%s: %s", name, variable)
			if value != nil {
				check.Env = append(check.Env, variable+"="+*value)
			}
		}
		out, err := check.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
}

// The library is the one behind `docker compose config`, which cannot be asked without its plugin.
func loadCompose(t *testing.T, text, profile string) (*composetypes.Project, error) {
	t.Helper()
	return composeloader.LoadWithContext(t.Context(), composetypes.ConfigDetails{
		WorkingDir:  "../..",
		ConfigFiles: []composetypes.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
	}, composeloader.WithProfiles([]string{profile}))
}

func TestComposeAcceptsTheLocalStack(t *testing.T) {
	t.Parallel()
	text := readFile(t, "compose.yaml")
	project, err := loadCompose(t, text, "")
	require.NoError(t, err)
	require.Equal(t, []string{"api", "migrate", "postgres", "worker"}, project.ServiceNames())
	monitored, err := loadCompose(t, text, "observability")
	require.NoError(t, err)
	require.Subset(t, monitored.ServiceNames(), []string{"prometheus", "grafana"})
	for _, service := range project.Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s: a local stack is for this machine", service.Name)
		}
	}

	for was, is := range map[string]string{
		"read_only: true":                        "read_onyl: true",
		"stop_grace_period: 60s":                 "stop_grace_period: soon",
		"postgres: {condition: service_healthy}": "postgers: {condition: service_healthy}",
	} {
		_, err := loadCompose(t, strings.Replace(text, was, is, 1), "")
		require.Error(t, err, is)
	}
}

// The profile observability mounts the chart's own rules and dashboards, and scrapes the services that there are.
func TestComposeShowsTheChartsDashboards(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Profiles    []string          `json:"profiles"`
			Volumes     []string          `json:"volumes"`
			Environment map[string]string `json:"environment"`
			Configs     []struct {
				Source string `json:"source"`
			} `json:"configs"`
		} `json:"services"`
		Configs map[string]struct {
			Content string `json:"content"`
		} `json:"configs"`
	}
	text := readFile(t, "compose.yaml")
	require.NoError(t, yaml.Unmarshal([]byte(text), &compose))
	mounted := func(service string) (source, target string) {
		s := compose.Services[service]
		require.Equal(t, []string{"observability"}, s.Profiles)
		for _, c := range s.Configs {
			content := compose.Configs[c.Source].Content
			var document map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(content), &document), c.Source)
			require.NotEmpty(t, document, c.Source)
		}
		parts := strings.Split(s.Volumes[0], ":")
		return filepath.Join("../..", parts[0]), parts[1]
	}
	rules, at := mounted("prometheus")
	require.FileExists(t, rules)
	require.Contains(t, compose.Configs["prometheus"].Content, "rule_files: ["+at+"]")
	for _, target := range regexp.MustCompile(`"(\w+):8081"`).FindAllStringSubmatch(compose.Configs["prometheus"].Content, -1) {
		require.Contains(t, compose.Services, target[1])
	}
	dashboards, at := mounted("grafana")
	require.Contains(t, compose.Configs["grafana_dashboards"].Content, "path: "+at+"}")
	home := compose.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	require.FileExists(t, filepath.Join(dashboards, strings.TrimPrefix(home, at)))
}

func TestTheImageIsBuiltFromEveryPackage(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err)
	dockerfile, ignore := readFile(t, "Dockerfile"), readFile(t, ".dockerignore")
	seen := 0
	for _, path := range strings.Fields(string(out)) {
		if rest, ours := strings.CutPrefix(path, "aiagents/"); ours {
			dir, _, _ := strings.Cut(rest, "/")
			require.Contains(t, dockerfile, "COPY "+dir+" ./"+dir+"\n", path)
			require.Contains(t, ignore, "!"+dir+"\n", path)
			seen++
		}
	}
	require.Greater(t, seen, 10)
}

func TestEveryBuildStampsVariablesThatExist(t *testing.T) {
	t.Parallel()
	stamp := regexp.MustCompile(`-X aiagents/app\.(\w+)=`)
	source := readFile(t, "app/command_roles.go")
	for _, file := range []string{"Dockerfile", ".ko.yaml", ".goreleaser.yaml", "Taskfile.yml"} {
		stamps := stamp.FindAllStringSubmatch(readFile(t, file), -1)
		require.Len(t, stamps, 2, file)
		for _, s := range stamps {
			require.Regexp(t, `(?m)^\t`+s[1]+` += ""`, source, file)
		}
	}
}

// unknownValues lists paths of values that a document names and the chart does not have.
func unknownValues(t *testing.T, text string) (unknown []string) {
	t.Helper()
	have := map[string]bool{}
	for _, path := range keysOf(readSchema(t), "") {
		parts := strings.Split(path, ".")
		for i := range parts {
			have[strings.Join(parts[:i+1], ".")] = true
		}
	}
	top := `(?:api|worker|migrate|networkPolicy|egress|image|secrets|metrics|config|ingress)`
	for _, m := range regexp.MustCompile("`(?:--set )?("+top+`(?:\.\w+)+)\b`).FindAllStringSubmatch(text, -1) {
		if !have[m[1]] {
			unknown = append(unknown, m[1])
		}
	}
	return unknown
}

func TestDocumentsNameValuesThatExist(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"docs/operations.md", "charts/aiagents/README.md"} {
		require.Empty(t, unknownValues(t, readFile(t, file)), file)
	}
	require.Equal(t, []string{"worker.softStop"}, unknownValues(t, "`worker.softStop` and `api.replicas`"))
}

// Settings in the README are complete enough to render.
func TestTheReadmesExamplesRender(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readFile(t, "charts/aiagents/README.md"), -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		_, err := manifests(t, parse(t, base), parse(t, block[1]))
		require.NoError(t, err, block[1])
	}
	require.Empty(t, dangling(render(t, parse(t, blocks[0][1]))), "the least is enough by itself")
}

func TestTheReadmesTestsExist(t *testing.T) {
	t.Parallel()
	sources := ""
	for _, pattern := range []string{"*_test.go", "../apiserver/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			sources += string(content)
		}
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(readFile(t, "charts/aiagents/README.md"), -1)
	require.Greater(t, len(names), 15)
	for _, name := range names {
		require.Contains(t, sources, "func "+name[1]+"(t *testing.T)")
	}
}
