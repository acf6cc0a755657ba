package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kedav1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "../aiagents"

// kinds are the types that the chart may make; anything else fails to decode.
var kinds = map[string]func() metav1.Object{
	"v1/ConfigMap":                            func() metav1.Object { return new(corev1.ConfigMap) },
	"v1/Service":                              func() metav1.Object { return new(corev1.Service) },
	"v1/ServiceAccount":                       func() metav1.Object { return new(corev1.ServiceAccount) },
	"v1/ResourceQuota":                        func() metav1.Object { return new(corev1.ResourceQuota) },
	"apps/v1/Deployment":                      func() metav1.Object { return new(appsv1.Deployment) },
	"batch/v1/Job":                            func() metav1.Object { return new(batchv1.Job) },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() metav1.Object { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1/Ingress":            func() metav1.Object { return new(networkingv1.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":      func() metav1.Object { return new(networkingv1.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":           func() metav1.Object { return new(policyv1.PodDisruptionBudget) },
	"monitoring.coreos.com/v1/ServiceMonitor": func() metav1.Object { return new(monitoringv1.ServiceMonitor) },
	"monitoring.coreos.com/v1/PodMonitor":     func() metav1.Object { return new(monitoringv1.PodMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() metav1.Object { return new(monitoringv1.PrometheusRule) },
	"keda.sh/v1alpha1/ScaledObject":           func() metav1.Object { return new(kedav1.ScaledObject) },
	"keda.sh/v1alpha1/TriggerAuthentication":  func() metav1.Object { return new(kedav1.TriggerAuthentication) },
}

type values = map[string]any

// parse reads values written as YAML.
func parse(t *testing.T, text string) values {
	t.Helper()
	v := values{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &v))
	return v
}

// valuesFile reads one of the chart's own values files.
func valuesFile(t *testing.T, name string) values {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chartDir, name))
	require.NoError(t, err)
	return parse(t, string(content))
}

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(chartDir)
	require.NoError(t, err)
	require.NotEmpty(t, c.Schema)
	return c
}

// manifests renders the chart as `helm template` does, schema included, file by file.
func manifests(t *testing.T, overlays ...values) (map[string]string, error) {
	t.Helper()
	c := loadChart(t)
	merged := values{}
	for _, overlay := range overlays {
		merged = chartutil.MergeTables(copyOf(t, overlay), merged)
	}
	options := chartutil.ReleaseOptions{Name: "rel", Namespace: "ai-agents", Revision: 1, IsInstall: true}
	render, err := chartutil.ToRenderValues(c, merged, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, render)
}

// copyOf keeps a merge from changing what other tests share.
func copyOf(t *testing.T, v values) values {
	t.Helper()
	content, err := yaml.Marshal(v)
	require.NoError(t, err)
	return parse(t, string(content))
}

// object is one rendered object, decoded into its own type.
type object struct {
	kind string
	metav1.Object
}

func (o object) String() string { return o.kind + " " + o.GetName() }

func (o object) hook() bool { return o.GetAnnotations()["helm.sh/hook"] != "" }

// render returns every object of a release.
func render(t *testing.T, overlays ...values) []object {
	t.Helper()
	files, err := manifests(t, overlays...)
	require.NoError(t, err)
	var objects []object
	for _, file := range sorted(files) {
		if strings.HasSuffix(file, "NOTES.txt") {
			continue
		}
		docs := releaseutil.SplitManifests(files[file])
		for _, doc := range sorted(docs) {
			o, err := decode(docs[doc])
			require.NoError(t, err, "%s:\n%s", file, docs[doc])
			if o != nil {
				objects = append(objects, *o)
			}
		}
	}
	return objects
}

// decode refuses an object of unknown type, and every field that its type does not have.
func decode(text string) (*object, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &meta); err != nil {
		return nil, err
	}
	if meta.Kind == "" {
		return nil, nil // only comments
	}
	make, known := kinds[meta.APIVersion+"/"+meta.Kind]
	if !known {
		return nil, fmt.Errorf("the type %s %s is not in the table of kinds", meta.APIVersion, meta.Kind)
	}
	o := make()
	if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
		return nil, err
	}
	return &object{kind: meta.Kind, Object: o}, nil
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// all returns the objects of one type.
func all[T metav1.Object](objects []object) (found []T) {
	for _, o := range objects {
		if typed, ok := o.Object.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// one returns the object of a type whose name ends as said.
func one[T metav1.Object](t *testing.T, objects []object, suffix string) T {
	t.Helper()
	var found []T
	for _, o := range all[T](objects) {
		if strings.HasSuffix(o.GetName(), suffix) {
			found = append(found, o)
		}
	}
	require.Len(t, found, 1, "objects of the type with the suffix %q", suffix)
	return found[0]
}

// pod is a template of pods with the object that owns it.
type pod struct {
	owner  object
	labels map[string]string
	spec   corev1.PodSpec
}

func (p pod) main(t *testing.T) corev1.Container {
	t.Helper()
	at := slices.IndexFunc(p.spec.Containers, func(c corev1.Container) bool { return c.Name == "aiagents" })
	require.NotEqual(t, -1, at, "%s has no container aiagents", p.owner)
	return p.spec.Containers[at]
}

func pods(objects []object) (found []pod) {
	for _, o := range objects {
		switch owner := o.Object.(type) {
		case *appsv1.Deployment:
			found = append(found, pod{o, owner.Spec.Template.Labels, owner.Spec.Template.Spec})
		case *batchv1.Job:
			found = append(found, pod{o, owner.Spec.Template.Labels, owner.Spec.Template.Spec})
		}
	}
	return found
}
