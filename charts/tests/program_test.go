package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"aiagents/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// program builds the real binary once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aiagents-chart-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "aiagents")
	build := exec.Command("go", "build", "-o", file, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return file, nil
})

func binary(t *testing.T) string {
	t.Helper()
	file, err := program()
	require.NoError(t, err)
	return file
}

type setting struct{ key, variable string }

// programSettings asks the program for all it can be told, in order of the keys.
func programSettings(t *testing.T) (all []setting) {
	t.Helper()
	out, err := exec.Command(binary(t), "config", "show").Output()
	require.NoError(t, err)
	for _, line := range strings.Split(string(out), "\n") {
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(words[len(words)-1], "AI_AGENTS_") {
			all = append(all, setting{words[0], words[len(words)-1]})
		}
	}
	require.Greater(t, len(all), 50)
	return all
}

// cluster stands in for the kubelet: it has the Secrets and ConfigMaps, and gives a container its variables and files.
type cluster struct {
	secrets map[string]map[string]string
	configs map[string]map[string]string
}

const keyring = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// newCluster has whatever the pods ask for; the given values win.
func newCluster(objects []object, secrets map[string]map[string]string) *cluster {
	c := &cluster{secrets: secrets, configs: map[string]map[string]string{}}
	for _, o := range objects {
		if m, ok := o.Object.(*corev1.ConfigMap); ok {
			c.configs[m.Name] = m.Data
		}
	}
	return c
}

func (c *cluster) secret(name, key string) string {
	if value, ok := c.secrets[name][key]; ok {
		return value
	}
	return map[string]string{
		"encryption-keys": keyring, "admin-token": "sixteen-characters", "openai-api-key": "sk-test", "port": "5432",
	}[key]
}

var expansion = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// environment makes the variables of a container, with the paths of its mounts moved into dir, where their files are.
func (c *cluster) environment(t *testing.T, p pod, dir string) (environ []string) {
	t.Helper()
	container := p.main(t)
	for _, mount := range container.VolumeMounts {
		target := filepath.Join(dir, mount.MountPath)
		require.NoError(t, os.MkdirAll(target, 0o755))
		for _, v := range p.spec.Volumes {
			if v.Name == mount.Name {
				c.fill(t, v, target)
			}
		}
	}
	vars := map[string]string{}
	for _, e := range container.Env {
		value := e.Value
		if e.ValueFrom != nil {
			value = c.secret(e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
			require.NotEmpty(t, value, "%s: %v", e.Name, e.ValueFrom.SecretKeyRef)
		}
		value = expansion.ReplaceAllStringFunc(value, func(m string) string { return vars[m[2:len(m)-1]] })
		if strings.HasPrefix(value, "/etc/aiagents/") {
			value = filepath.Join(dir, value)
			require.FileExists(t, value, e.Name)
		}
		vars[e.Name] = value
		environ = append(environ, e.Name+"="+value)
	}
	return environ
}

func (c *cluster) fill(t *testing.T, v corev1.Volume, dir string) {
	t.Helper()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	switch {
	case v.ConfigMap != nil && v.ConfigMap.Items == nil:
		for name, content := range c.configs[v.ConfigMap.Name] {
			write(name, content)
		}
	case v.ConfigMap != nil:
		write(v.ConfigMap.Items[0].Path, certificate(t))
	case v.Secret != nil:
		write(v.Secret.Items[0].Path, certificate(t))
	case v.Projected != nil:
		for _, source := range v.Projected.Sources {
			item := source.Secret.Items[0]
			value := c.secret(source.Secret.Name, item.Key)
			if value == "" {
				value = "postgres://app@db.example.com/aiagents"
			}
			write(item.Path, value)
		}
	}
}

// certificate is a real one, since the program reads it.
func certificate(t *testing.T) string {
	t.Helper()
	server := newTLSServer()
	t.Cleanup(server.Close)
	return pemOf(server)
}

// The program itself judges the variables and the file that each pod gets: no fault, and none that it does not know.
func TestTheProgramAcceptsWhatThePodsGet(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) {
		c := newCluster(objects, map[string]map[string]string{
			"pg-role":          {"username": "app", "password": "p@ss/word"},
			"pg-app":           {"host": "pg-rw", "username": "owner", "password": "o", "dbname": "aiagents"},
			"aiagents-db-role": {"username": "app", "password": "p@ss/word"},
			"aiagents-db-app":  {"host": "pg-rw", "username": "owner", "password": "o", "dbname": "aiagents"},
		})
		for _, p := range pods(objects) {
			var more []string
			if _, job := p.owner.Object.(*batchv1.Job); job {
				more = []string{"AI_AGENTS_ENCRYPTION_KEYS=" + keyring} // which `migrate` does without
			}
			out, err := c.check(t, p, more...)
			require.NoError(t, err, "%s: %s", p.owner, out)
			require.Equal(t, "the configuration is valid\n", out, p.owner)
		}
	})
}

func (c *cluster) check(t *testing.T, p pod, more ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(binary(t), "config", "check")
	cmd.Env = append(c.environment(t, p, t.TempDir()), more...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheProgramRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	objects := render(t, parse(t, base))
	c := newCluster(objects, nil)
	p := pods(objects)[0]
	out, err := c.check(t, p, "AI_AGENTS_OPENAI_MODLE=x")
	require.NoError(t, err)
	require.Contains(t, out, "AI_AGENTS_OPENAI_MODLE")
	_, err = c.check(t, p, "AI_AGENTS_LOG_LEVEL=verbose")
	require.Error(t, err)
}

// The grace period must hold everything that an orderly stop may take: see (*process).stop in app/roles.go.
func TestPodsAreGivenTheTimeThatTheirStopTakes(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) {
		const perServer = 10 * time.Second // httpStopTimeout: requests, River's margin or the operations server, telemetry
		for _, d := range all[*appsv1.Deployment](objects) {
			spec := d.Spec.Template.Spec
			var own time.Duration
			for _, e := range spec.Containers[0].Env {
				if e.Name == "AI_AGENTS_HTTP_SHUTDOWN_DELAY" || e.Name == "AI_AGENTS_WORKER_SOFT_STOP" {
					var err error
					own, err = time.ParseDuration(e.Value)
					require.NoError(t, err)
				}
			}
			require.Positive(t, own, d.Name)
			require.Greater(t, time.Duration(*spec.TerminationGracePeriodSeconds)*time.Second, own+3*perServer, d.Name)
		}
	})
}

// connection splits a URL into what CloudNativePG puts into a Secret.
func connection(t *testing.T, text string) map[string]string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	password, _ := u.User.Password()
	return map[string]string{
		"host": u.Hostname(), "port": u.Port(), "username": u.User.Username(), "password": password,
		"dbname": strings.TrimPrefix(u.Path, "/"),
	}
}

// The whole installation on a real, empty database: the migration with its Job's variables, then both roles with theirs.
func TestTheRenderedConfigurationStartsTheProgram(t *testing.T) {
	t.Parallel()
	t.Run("one URL", func(t *testing.T) {
		t.Parallel()
		d := dbtest.NewEmpty(t)
		installs(t, base, map[string]map[string]string{"aiagents-database": {"app-url": d.AppURL, "owner-url": d.OwnerURL}})
	})
	t.Run("field by field", func(t *testing.T) {
		t.Parallel()
		d := dbtest.NewEmpty(t)
		owner, app := connection(t, d.OwnerURL), connection(t, d.AppURL)
		installs(t, `
database:
  owner: {secretName: pg-app}
  app: {secretName: pg-app, user: {secretName: pg-role}, password: {secretName: pg-role}}
secrets: {encryptionKeys: {secretName: aiagents}}`, map[string]map[string]string{
			"pg-app": owner, "pg-role": {"username": app["username"], "password": app["password"]},
		})
	})
}

func installs(t *testing.T, text string, secrets map[string]map[string]string) {
	t.Helper()
	objects := render(t, parse(t, text), parse(t, `{environment: staging, database: {sslMode: disable}, config: {feed: {parallel_tenants: 2}}}`))
	c := newCluster(objects, secrets)
	var api, worker, job pod
	for _, p := range pods(objects) {
		switch p.labels["app.kubernetes.io/component"] {
		case "api":
			api = p
		case "worker":
			worker = p
		case "migrate":
			job = p
		}
	}
	require.IsType(t, &batchv1.Job{}, job.owner.Object)

	// Schema-gated: a new pod does not start on an old schema, so the old ones stay.
	early := exec.Command(binary(t), api.main(t).Args...)
	early.Env = c.environment(t, api, t.TempDir())
	out, err := early.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "aiagents migrate up")

	migrate := exec.Command(binary(t), job.main(t).Args...)
	migrate.Env = c.environment(t, job, t.TempDir())
	out, err = migrate.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, p := range []pod{api, worker} {
		startsAndStops(t, c, p)
	}
}

var (
	opsAddr  = regexp.MustCompile(`"ops_addr":"([^"]+)"`)
	httpAddr = regexp.MustCompile(`"http_addr":"([^"]+)"`)
)

func startsAndStops(t *testing.T, c *cluster, p pod) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), p.main(t).Args...)
	// Ports of the pod's own network; here many share one.
	for _, e := range c.environment(t, p, t.TempDir()) {
		if name, _, _ := strings.Cut(e, "="); strings.HasSuffix(name, "_ADDR") {
			e = name + "=127.0.0.1:0"
		}
		cmd.Env = append(cmd.Env, e)
	}
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var seen strings.Builder
	lines := bufio.NewScanner(logs)
	var addr string
	for addr == "" && lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if m := opsAddr.FindStringSubmatch(lines.Text()); m != nil {
			addr = m[1]
		}
	}
	require.NotEmpty(t, addr, "%s did not start:\n%s", p.owner, seen.String())
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, logs) }()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for _, probe := range []*corev1.Probe{p.main(t).StartupProbe, p.main(t).LivenessProbe, p.main(t).ReadinessProbe} {
		require.Eventually(t, func() bool { return get(t, client, "http://"+addr+probe.HTTPGet.Path) == http.StatusOK },
			20*time.Second, 100*time.Millisecond, "%s %s", p.owner, probe.HTTPGet.Path)
	}
	require.Equal(t, http.StatusOK, get(t, client, "http://"+addr+"/metrics"))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	<-drained
	require.NoError(t, cmd.Wait(), "%s stops in order", p.owner)
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
