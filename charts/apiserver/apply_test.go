package apiserver

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	"sigs.k8s.io/yaml"
)

// What the chart can make besides Kubernetes' own kinds, by the modules whose files define it.
var definitions = []struct{ module, files string }{
	{"github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_*.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.94.0", "example/prometheus-operator-crd/*.yaml"},
}

// cluster is a client of the server, with all that the server warned about.
type cluster struct {
	t      *testing.T
	client dynamic.Interface
	config *rest.Config
	mapper meta.RESTMapper

	mu       sync.Mutex
	warnings []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (c *cluster) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, text)
}

func (c *cluster) takeWarnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.warnings
	c.warnings = nil
	return taken
}

func start(t *testing.T) *cluster {
	t.Helper()
	store := embed.NewConfig()
	store.Dir, store.LogLevel, store.LogOutputs = t.TempDir(), "error", []string{os.DevNull}
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	store.ListenClientUrls, store.ListenPeerUrls = loopback, loopback
	etcd, err := embed.StartEtcd(store)
	require.NoError(t, err)
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd is not ready")
	}
	storage := storagebackend.NewDefaultConfig("/registry", nil)
	storage.Transport.ServerList = []string{"http://" + etcd.Clients[0].Addr().String()}
	server := kubeapiserver.StartTestServerOrDie(t, nil, []string{"--disable-admission-plugins=ServiceAccount"}, storage)
	t.Cleanup(server.TearDownFn)
	c := &cluster{t: t, config: rest.CopyConfig(server.ClientConfig)}
	c.config.WarningHandler = c
	c.config.QPS, c.config.Burst = 1000, 1000
	c.client, err = dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	return c
}

// discover learns the kinds that the server knows now.
func (c *cluster) discover() {
	c.t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(c.config)
	require.NoError(c.t, err)
	groups, err := restmapper.GetAPIGroupResources(client)
	require.NoError(c.t, err)
	c.mapper = restmapper.NewDiscoveryRESTMapper(groups)
}

// apply is `kubectl apply --server-side`, with unknown fields refused and nobody else's fields taken over.
func (c *cluster) apply(namespace string, o *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	c.t.Helper()
	mapping, err := c.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	if err != nil {
		return nil, err
	}
	var resource dynamic.ResourceInterface = c.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = c.client.Resource(mapping.Resource).Namespace(namespace)
	}
	body, err := json.Marshal(o)
	require.NoError(c.t, err)
	force := false
	return resource.Patch(context.Background(), o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager: "chart", FieldValidation: metav1.FieldValidationStrict, Force: &force, DryRun: dryRun,
	})
}

func (c *cluster) mustApply(namespace string, o *unstructured.Unstructured) *unstructured.Unstructured {
	c.t.Helper()
	applied, err := c.apply(namespace, o)
	require.NoError(c.t, err, "%s %s", o.GetKind(), o.GetName())
	require.Empty(c.t, c.takeWarnings(), "%s %s", o.GetKind(), o.GetName())
	return applied
}

// namespace makes one in which Pod Security "restricted" is enforced and warned about.
func (c *cluster) namespace(name string) {
	c.t.Helper()
	labels := map[string]any{}
	for _, mode := range []string{"enforce", "warn", "audit"} {
		labels["pod-security.kubernetes.io/"+mode] = "restricted"
	}
	c.mustApply("", &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels},
	}})
}

func decode(t *testing.T, text string) (all []*unstructured.Unstructured) {
	t.Helper()
	for _, document := range regexp.MustCompile(`(?m)^---.*$`).Split(text, -1) {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &o.Object), document)
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
	return all
}

// rendered reads what Helm makes of one of the chart's values files.
func rendered(t *testing.T, name string) (all []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../tests/testdata", name+".golden.yaml"))
	require.NoError(t, err)
	for _, file := range regexp.MustCompile(`(?m)^# templates/`).Split(string(text), -1) {
		if !strings.HasPrefix(file, "NOTES.txt") {
			_, body, _ := strings.Cut(file, "\n")
			all = append(all, decode(t, body)...)
		}
	}
	require.Greater(t, len(all), 5)
	return all
}

// define makes the kinds of KEDA and of the Prometheus operator, and waits until the server serves them.
func (c *cluster) define() {
	c.t.Helper()
	c.discover()
	for _, d := range definitions {
		cmd := exec.CommandContext(c.t.Context(), "go", "mod", "download", "-json", d.module)
		cmd.Dir = c.t.TempDir()
		out, err := cmd.Output()
		require.NoError(c.t, err, "%s: %s", d.module, out)
		var module struct{ Dir string }
		require.NoError(c.t, json.Unmarshal(out, &module))
		files, err := filepath.Glob(filepath.Join(module.Dir, d.files))
		require.NoError(c.t, err)
		require.NotEmpty(c.t, files, d.module)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(c.t, err)
			for _, o := range decode(c.t, string(text)) {
				_, err := c.apply("", o)
				require.NoError(c.t, err, file)
			}
		}
	}
	c.takeWarnings() // of others' definitions
	require.Eventually(c.t, func() bool {
		c.discover()
		for _, kind := range []string{"ScaledObject.keda.sh", "TriggerAuthentication.keda.sh", "ServiceMonitor.monitoring.coreos.com", "PodMonitor.monitoring.coreos.com", "PrometheusRule.monitoring.coreos.com"} {
			if _, err := c.mapper.RESTMapping(schema.ParseGroupKind(kind)); err != nil {
				return false
			}
		}
		return true
	}, time.Minute, 500*time.Millisecond)
}

func TestTheServerTakesTheChart(t *testing.T) {
	c := start(t)
	c.define()
	for _, name := range []string{"minimal", "local", "staging", "production"} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			objects := rendered(t, name)
			c.namespace(name)
			generations := map[string]int64{}
			key := func(o *unstructured.Unstructured) string { return o.GetKind() + " " + o.GetName() }
			for _, o := range objects {
				generations[key(o)] = c.mustApply(name, o).GetGeneration()
			}
			for _, o := range objects {
				require.Equal(t, generations[key(o)], c.mustApply(name, o).GetGeneration(), "%s: the same again changes nothing", key(o))
			}
			c.podsAreAdmitted(t, name, objects)
			t.Logf("%d objects, no error, no warning", len(objects))
		})
	}
	t.Run("the server refuses", func(t *testing.T) {
		c.t = t
		c.namespace("refused")
		c.refusals(t)
	})
}

// podsAreAdmitted makes the pods that controllers would make, in a namespace without the quota, whose use nobody counts here.
func (c *cluster) podsAreAdmitted(t *testing.T, name string, objects []*unstructured.Unstructured) {
	t.Helper()
	c.namespace(name + "-pods")
	pods := 0
	for _, o := range objects {
		if template, ok, _ := unstructured.NestedMap(o.Object, "spec", "template"); ok && slices.Contains([]string{"Deployment", "Job"}, o.GetKind()) {
			c.mustApply(name+"-pods", pod(o.GetName(), template))
			pods++
		}
	}
	require.Equal(t, 3, pods)
}

func pod(name string, template map[string]any) *unstructured.Unstructured {
	p := &unstructured.Unstructured{Object: template}
	p.SetAPIVersion("v1")
	p.SetKind("Pod")
	p.SetName(name)
	return p
}

// refusals shows that the server would have objected.
func (c *cluster) refusals(t *testing.T) {
	t.Helper()
	for _, o := range rendered(t, "minimal") {
		if o.GetKind() != "Deployment" {
			continue
		}
		misspelt := o.DeepCopy()
		require.NoError(t, unstructured.SetNestedField(misspelt.Object, int64(1), "spec", "replicaz"))
		_, err := c.apply("refused", misspelt)
		require.ErrorContains(t, err, "replicaz")

		template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		root := pod("root", template)
		require.NoError(t, unstructured.SetNestedField(root.Object, false, "spec", "securityContext", "runAsNonRoot"))
		_, err = c.apply("refused", root)
		require.ErrorContains(t, err, "violates PodSecurity")

		require.NoError(t, unstructured.SetNestedField(o.Object, false, "spec", "template", "spec", "securityContext", "runAsNonRoot"))
		_, err = c.apply("refused", o)
		require.NoError(t, err)
		require.NotEmpty(t, c.takeWarnings(), "a Deployment of such pods is warned about")

		moved := o.DeepCopy()
		require.NoError(t, unstructured.SetNestedField(moved.Object, "else", "spec", "selector", "matchLabels", "app.kubernetes.io/name"))
		_, err = c.apply("refused", moved)
		require.Error(t, err, "a selector cannot be changed, which is why the chart's never does")
		return
	}
}
