package tests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	kedav1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// everyCase runs a check on every case of the matrix.
func everyCase(t *testing.T, check func(t *testing.T, objects []object)) {
	t.Parallel()
	for name, overlays := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, render(t, overlays...))
		})
	}
}

func TestEveryObjectDecodesStrictlyAndIsNamedOnce(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) {
		seen := map[string]bool{}
		for _, o := range objects {
			require.False(t, seen[o.String()], "%s twice", o)
			seen[o.String()] = true
			require.Empty(t, validation.IsDNS1123Subdomain(o.GetName()), o)
			require.LessOrEqual(t, len(o.GetName()), 63, o)
			require.Empty(t, o.GetNamespace(), "%s: the release decides", o)
			for key, value := range o.GetLabels() {
				require.Empty(t, validation.IsQualifiedName(key), "%s: %s", o, key)
				require.Empty(t, validation.IsValidLabelValue(value), "%s: %s", o, value)
			}
		}
		require.NotEmpty(t, seen)
	})
}

func TestDecodingIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{apiVersion: v1, kind: Service, spec: {port: 80}}",
		"{apiVersion: v1, kind: Service, spec: {ports: [{port: eighty}]}}",
		"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, spec: {minReplicas: 1}}",
		"{apiVersion: v1, kind: Pod}",
		"{apiVersion: v1, kind: Service, kind: Service}",
	} {
		_, err := decode(text)
		require.Error(t, err, text)
	}
}

// restricted names what keeps a pod out of a namespace that enforces Pod Security "restricted".
func restricted(t *testing.T, spec corev1.PodSpec) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &metav1.ObjectMeta{}, &spec))
	return result.ForbiddenDetail()
}

func TestPodsPassPodSecurityRestricted(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) {
		for _, p := range pods(objects) {
			require.Empty(t, restricted(t, p.spec), p.owner)
			require.False(t, *p.spec.AutomountServiceAccountToken, p.owner)
			require.False(t, *p.spec.EnableServiceLinks, p.owner)
			c := p.main(t)
			require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, p.owner)
			require.EqualValues(t, 65532, *p.spec.SecurityContext.RunAsUser, p.owner)
			require.NotEmpty(t, c.Resources.Limits.Memory().String(), p.owner)
		}
	})
}

func TestTheCheckOfPodSecurityBites(t *testing.T) {
	t.Parallel()
	for _, weaken := range []string{
		`containerSecurityContext: {allowPrivilegeEscalation: true}`,
		`containerSecurityContext: {capabilities: {drop: []}}`,
		`podSecurityContext: {runAsNonRoot: false}`,
		`podSecurityContext: {seccompProfile: {type: Unconfined}}`,
		`extraVolumes: [{name: host, hostPath: {path: /}}]`,
	} {
		for _, p := range pods(render(t, parse(t, base), parse(t, weaken))) {
			require.NotEmpty(t, restricted(t, p.spec), weaken)
		}
	}
}

// dangling follows every reference inside a release, and returns those that lead nowhere.
func dangling(objects []object) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	byName := map[string]object{}
	for _, o := range objects {
		byName[o.String()] = o
	}
	templates := pods(objects)
	// selected are the pods that a selector matches.
	selected := func(selector map[string]string) (found []pod) {
		for _, p := range templates {
			if labels.SelectorFromSet(selector).Matches(labels.Set(p.labels)) {
				found = append(found, p)
			}
		}
		return found
	}
	hasPort := func(p pod, port intstr.IntOrString) bool {
		for _, c := range p.spec.Containers {
			for _, have := range c.Ports {
				if have.Name == port.StrVal || (port.Type == intstr.Int && have.ContainerPort == port.IntVal) {
					return true
				}
			}
		}
		return false
	}
	for _, o := range objects {
		switch x := o.Object.(type) {
		case *appsv1.Deployment:
			if found := selected(x.Spec.Selector.MatchLabels); len(found) != 1 || found[0].owner.GetName() != x.Name {
				fault("%s selects %d templates", o, len(found))
			}
		case *policyv1.PodDisruptionBudget:
			if len(selected(x.Spec.Selector.MatchLabels)) != 1 {
				fault("%s selects no single role", o)
			}
		case *corev1.Service:
			found := selected(x.Spec.Selector)
			for _, port := range x.Spec.Ports {
				if !slices.ContainsFunc(found, func(p pod) bool { return hasPort(p, port.TargetPort) }) {
					fault("%s: no pod has port %s", o, port.TargetPort.String())
				}
			}
		case *networkingv1.NetworkPolicy:
			found := selected(x.Spec.PodSelector.MatchLabels)
			if len(found) != 1 {
				fault("%s selects %d templates", o, len(found))
			}
			for _, rule := range x.Spec.Ingress {
				for _, port := range rule.Ports {
					if !slices.ContainsFunc(found, func(p pod) bool { return hasPort(p, *port.Port) }) {
						fault("%s: no pod has port %s", o, port.Port)
					}
				}
			}
		case *networkingv1.Ingress:
			for _, rule := range x.Spec.Rules {
				for _, path := range rule.HTTP.Paths {
					service, ok := byName["Service "+path.Backend.Service.Name].Object.(*corev1.Service)
					if !ok || !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == path.Backend.Service.Port.Name }) {
						fault("%s: backend %v", o, path.Backend.Service)
					}
				}
			}
		case *autoscalingv2.HorizontalPodAutoscaler:
			if _, ok := byName["Deployment "+x.Spec.ScaleTargetRef.Name]; !ok {
				fault("%s scales %s", o, x.Spec.ScaleTargetRef.Name)
			}
		case *kedav1.ScaledObject:
			if _, ok := byName["Deployment "+x.Spec.ScaleTargetRef.Name]; !ok {
				fault("%s scales %s", o, x.Spec.ScaleTargetRef.Name)
			}
			for _, trigger := range x.Spec.Triggers {
				if ref := trigger.AuthenticationRef; ref != nil && byName["TriggerAuthentication "+ref.Name].Object == nil {
					fault("%s: authentication %s", o, ref.Name)
				}
			}
		case *monitoringv1.ServiceMonitor:
			for _, endpoint := range x.Spec.Endpoints {
				if !slices.ContainsFunc(all[*corev1.Service](objects), func(s *corev1.Service) bool {
					return labels.SelectorFromSet(x.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) &&
						slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == endpoint.Port })
				}) {
					fault("%s: no service has port %s", o, endpoint.Port)
				}
			}
		case *monitoringv1.PodMonitor:
			for _, endpoint := range x.Spec.PodMetricsEndpoints {
				if !slices.ContainsFunc(selected(x.Spec.Selector.MatchLabels), func(p pod) bool { return hasPort(p, intstr.FromString(*endpoint.Port)) }) {
					fault("%s: no pod has port %s", o, *endpoint.Port)
				}
			}
		}
	}
	for _, p := range templates {
		faults = append(faults, danglingInPod(p, byName, hasPort)...)
	}
	return faults
}

// given are objects that the values of the tests name and that exist before the release.
var given = []string{"more", "company-ca", "database-ca", "ca"}

func danglingInPod(p pod, byName map[string]object, hasPort func(pod, intstr.IntOrString) bool) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, p.owner.String()+": "+fmt.Sprintf(format, args...))
	}
	volumes := map[string]bool{}
	for _, v := range p.spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && byName["ConfigMap "+v.ConfigMap.Name].Object == nil && !slices.Contains(given, v.ConfigMap.Name) {
			fault("volume %s: no ConfigMap %s", v.Name, v.ConfigMap.Name)
		}
		// A hook runs before everything else of its release.
		if v.ConfigMap != nil && p.owner.hook() && byName["ConfigMap "+v.ConfigMap.Name].Object != nil {
			fault("volume %s: ConfigMap %s does not exist yet", v.Name, v.ConfigMap.Name)
		}
	}
	account := p.spec.ServiceAccountName
	if account != "" && account != "mine" && (byName["ServiceAccount "+account].Object == nil || p.owner.hook()) {
		fault("no ServiceAccount %s", account)
	}
	for _, c := range p.spec.Containers {
		paths := map[string]bool{}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] || paths[m.MountPath] {
				fault("mount %s at %s", m.Name, m.MountPath)
			}
			paths[m.MountPath] = true
			delete(volumes, m.Name)
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe != nil && !hasPort(p, probe.HTTPGet.Port) {
				fault("probe of port %s", probe.HTTPGet.Port.String())
			}
		}
		names := map[string]bool{}
		for _, e := range c.Env {
			if names[e.Name] {
				fault("variable %s twice", e.Name)
			}
			names[e.Name] = true
		}
	}
	for name := range volumes {
		fault("volume %s is mounted nowhere", name)
	}
	return faults
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) { require.Empty(t, dangling(objects)) })
}

func TestBrokenReferencesAreFound(t *testing.T) {
	t.Parallel()
	overlays := matrix(t)["production"]
	breaks := map[string]func(objects []object){
		"selects 0 templates": func(o []object) { one[*appsv1.Deployment](t, o, "-api").Spec.Template.Labels = nil },
		"no pod has port": func(o []object) {
			one[*corev1.Service](t, o, "-api").Spec.Ports[0].TargetPort = intstr.FromString("web")
		},
		"backend": func(o []object) {
			one[*networkingv1.Ingress](t, o, "").Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "x"
		},
		"scales":              func(o []object) { one[*kedav1.ScaledObject](t, o, "").Spec.ScaleTargetRef.Name = "x" },
		"authentication":      func(o []object) { one[*kedav1.ScaledObject](t, o, "").Spec.Triggers[0].AuthenticationRef.Name = "x" },
		"no service has port": func(o []object) { one[*monitoringv1.ServiceMonitor](t, o, "").Spec.Selector.MatchLabels["a"] = "b" },
		"no ConfigMap": func(o []object) {
			one[*appsv1.Deployment](t, o, "-api").Spec.Template.Spec.Volumes[0].ConfigMap.Name = "x"
		},
		"mounted nowhere": func(o []object) {
			c := &one[*appsv1.Deployment](t, o, "-worker").Spec.Template.Spec.Containers[0]
			c.VolumeMounts = c.VolumeMounts[1:]
		},
		"no ServiceAccount": func(o []object) {
			one[*batchv1.Job](t, o, "-migrate").Spec.Template.Spec.ServiceAccountName = "rel-aiagents"
		},
	}
	for want, act := range breaks {
		objects := render(t, overlays...)
		require.Empty(t, dangling(objects))
		act(objects)
		require.Contains(t, strings.Join(dangling(objects), "\n"), want)
	}
}

// Selectors cannot be changed, so nothing that a user may change gets into them.
func TestSelectorsAreTheSameForEver(t *testing.T) {
	t.Parallel()
	for name, overlays := range matrix(t) {
		if name == "names" || name == "long names" {
			continue
		}
		for _, component := range []string{"api", "worker"} {
			d := one[*appsv1.Deployment](t, render(t, overlays...), "-"+component)
			require.Equal(t, map[string]string{
				"app.kubernetes.io/name": "aiagents", "app.kubernetes.io/instance": "rel", "app.kubernetes.io/component": component,
			}, d.Spec.Selector.MatchLabels, name)
			require.Subset(t, d.Spec.Template.Labels, d.Spec.Selector.MatchLabels)
		}
	}
}

func TestReplicasBelongToTheScalerWhereThereIsOne(t *testing.T) {
	everyCase(t, func(t *testing.T, objects []object) {
		owned := map[string]bool{}
		for _, h := range all[*autoscalingv2.HorizontalPodAutoscaler](objects) {
			require.False(t, owned[h.Spec.ScaleTargetRef.Name])
			owned[h.Spec.ScaleTargetRef.Name] = true
		}
		for _, s := range all[*kedav1.ScaledObject](objects) {
			require.False(t, owned[s.Spec.ScaleTargetRef.Name])
			owned[s.Spec.ScaleTargetRef.Name] = true
			require.GreaterOrEqual(t, *s.Spec.MinReplicaCount, int32(1), "River's periodic jobs need a worker")
			require.EqualValues(t, 120, *s.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior.ScaleDown.StabilizationWindowSeconds)
		}
		for _, d := range all[*appsv1.Deployment](objects) {
			require.Equal(t, owned[d.Name], d.Spec.Replicas == nil, d.Name)
			require.Zero(t, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
			require.Positive(t, d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
		}
	})
}

func TestPoliciesOpenWhatIsNeededAndNothingElse(t *testing.T) {
	t.Parallel()
	objects := render(t, matrix(t)["production"]...)
	ports := func(p *networkingv1.NetworkPolicy) map[string][]string {
		found := map[string][]string{}
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				target := "dns"
				switch {
				case to.IPBlock != nil:
					target = to.IPBlock.CIDR
				case to.NamespaceSelector == nil:
					target = to.PodSelector.MatchLabels["app.kubernetes.io/component"]
				}
				for _, port := range rule.Ports {
					if !slices.Contains(found[target], port.Port.String()) {
						found[target] = append(found[target], port.Port.String())
					}
				}
			}
			require.NotEmpty(t, rule.To, "%s: an egress rule without a target opens everything", p.Name)
		}
		return found
	}
	plain := map[string][]string{"dns": {"53"}, "10.0.8.0/24": {"5432"}}
	require.Equal(t, plain, ports(one[*networkingv1.NetworkPolicy](t, objects, "-api")))
	require.Equal(t, plain, ports(one[*networkingv1.NetworkPolicy](t, objects, "-migrate")))
	worker := maps.Clone(plain)
	worker["0.0.0.0/0"], worker["::/0"], worker["10.20.0.0/16"] = []string{"443"}, []string{"443"}, []string{"443", "8080", "8443"}
	worker["api"] = []string{"http"}
	require.Equal(t, worker, ports(one[*networkingv1.NetworkPolicy](t, objects, "-worker")))
	for _, p := range all[*networkingv1.NetworkPolicy](objects) {
		require.ElementsMatch(t, []networkingv1.PolicyType{"Ingress", "Egress"}, p.Spec.PolicyTypes)
		for _, rule := range p.Spec.Ingress {
			require.NotEmpty(t, rule.From, "%s: an ingress rule without a source lets everybody in", p.Name)
		}
	}
	require.Empty(t, one[*networkingv1.NetworkPolicy](t, objects, "-migrate").Spec.Ingress)
}

func TestTheIngressLeadsToWebhooksOnly(t *testing.T) {
	t.Parallel()
	ingress := one[*networkingv1.Ingress](t, render(t, matrix(t)["production"]...), "")
	require.Len(t, ingress.Spec.Rules, 1)
	require.Len(t, ingress.Spec.Rules[0].HTTP.Paths, 1)
	path := ingress.Spec.Rules[0].HTTP.Paths[0]
	require.Equal(t, "/webhook", path.Path)
	require.Equal(t, networkingv1.PathTypePrefix, *path.PathType)
	require.Equal(t, "http", path.Backend.Service.Port.Name)
	require.Equal(t, "nginx", *ingress.Spec.IngressClassName)
	require.Equal(t, ingress.Spec.Rules[0].Host, ingress.Spec.TLS[0].Hosts[0])
}

func TestTheMigrationComesFirst(t *testing.T) {
	t.Parallel()
	objects := render(t, matrix(t)["production"]...)
	job := one[*batchv1.Job](t, objects, "-migrate")
	require.Equal(t, "pre-install,pre-upgrade", job.Annotations["helm.sh/hook"])
	require.Equal(t, "before-hook-creation", job.Annotations["helm.sh/hook-delete-policy"], "a failed one keeps its log")
	policy := one[*networkingv1.NetworkPolicy](t, objects, "-migrate")
	require.Equal(t, "pre-install,pre-upgrade", policy.Annotations["helm.sh/hook"], "in a namespace that denies by default, the Job needs its policy first")
	require.Less(t, policy.Annotations["helm.sh/hook-weight"], job.Annotations["helm.sh/hook-weight"])
	require.Equal(t, corev1.RestartPolicyNever, job.Spec.Template.Spec.RestartPolicy)
	for _, o := range objects {
		if o.hook() {
			require.Contains(t, []string{"Job", "NetworkPolicy"}, o.kind)
		}
	}
}

// secretsOf names every key of a Secret that a pod is given, as a variable or as a file.
func secretsOf(t *testing.T, p pod) (keys []string) {
	t.Helper()
	for _, e := range p.main(t).Env {
		if e.ValueFrom != nil {
			keys = append(keys, e.ValueFrom.SecretKeyRef.Name+"/"+e.ValueFrom.SecretKeyRef.Key)
		}
	}
	for _, v := range p.spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			keys = append(keys, source.Secret.Name+"/"+source.Secret.Items[0].Key)
		}
	}
	return keys
}

// Who takes over one pod gets that pod's secrets and no others.
func TestEachPodIsGivenTheSecretsOfItsWorkOnly(t *testing.T) {
	t.Parallel()
	model := parse(t, `secrets: {openaiApiKey: {secretName: aiagents}}`)
	got := func(overlays ...values) map[string][]string {
		keys := map[string][]string{}
		for _, p := range pods(render(t, overlays...)) {
			keys[p.labels["app.kubernetes.io/component"]] = secretsOf(t, p)
		}
		return keys
	}
	require.Equal(t, map[string][]string{
		"api":     {"aiagents-database/app-url", "aiagents/encryption-keys"},
		"worker":  {"aiagents-database/app-url", "aiagents/encryption-keys", "aiagents/openai-api-key"},
		"migrate": {"aiagents-database/app-url", "aiagents-database/owner-url"},
	}, got(parse(t, base), model))
	keys := got(parse(t, fields), model)
	require.ElementsMatch(t, []string{"pg-app/dbname", "pg-app/host", "pg-app/password", "pg-app/port", "pg-app/username", "pg-role/username"},
		keys["migrate"], "of the app role, its name alone")
	require.Contains(t, keys["worker"], "pg-role/password")
}

// A quota that does not hold a full rollout stops an upgrade half-way.
func TestTheQuotasHoldAFullRollout(t *testing.T) {
	t.Parallel()
	for _, environment := range []string{"staging", "production"} {
		objects := render(t, matrix(t)[environment]...)
		quota := one[*corev1.ResourceQuota](t, objects, "").Spec.Hard
		most := map[string]int32{}
		for _, d := range all[*appsv1.Deployment](objects) {
			if d.Spec.Replicas != nil {
				most[d.Name] = *d.Spec.Replicas
			}
		}
		for _, h := range all[*autoscalingv2.HorizontalPodAutoscaler](objects) {
			most[h.Spec.ScaleTargetRef.Name] = h.Spec.MaxReplicas
		}
		for _, s := range all[*kedav1.ScaledObject](objects) {
			most[s.Spec.ScaleTargetRef.Name] = *s.Spec.MaxReplicaCount
		}
		used := map[corev1.ResourceName]float64{}
		for _, p := range pods(objects) {
			n := float64(most[p.owner.GetName()] + 1) // and the one more of a rollout; a Job is one
			used["pods"] += n
			r := p.main(t).Resources
			used["requests.cpu"] += n * r.Requests.Cpu().AsApproximateFloat64()
			used["requests.memory"] += n * r.Requests.Memory().AsApproximateFloat64()
			used["limits.cpu"] += n * r.Limits.Cpu().AsApproximateFloat64()
			used["limits.memory"] += n * r.Limits.Memory().AsApproximateFloat64()
		}
		for name, need := range used {
			hard := quota[name]
			require.GreaterOrEqual(t, hard.AsApproximateFloat64(), need, "%s: %s", environment, name)
		}
	}
}

func TestResourcesAreAsDesigned(t *testing.T) {
	t.Parallel()
	objects := render(t, parse(t, base))
	for component, want := range map[string][4]string{"-api": {"250m", "512Mi", "500m", "1Gi"}, "-worker": {"500m", "1Gi", "1", "2Gi"}} {
		r := one[*appsv1.Deployment](t, objects, component).Spec.Template.Spec.Containers[0].Resources
		require.Equal(t, want, [4]string{r.Requests.Cpu().String(), r.Requests.Memory().String(), r.Limits.Cpu().String(), r.Limits.Memory().String()})
	}
}
