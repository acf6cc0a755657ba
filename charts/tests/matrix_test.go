package tests

import "testing"

// base is the least that the chart accepts: one Secret a database role, and the keyring.
const base = `
database:
  app: {url: {secretName: aiagents-database, secretKey: app-url}}
  owner: {url: {secretName: aiagents-database, secretKey: owner-url}}
secrets: {encryptionKeys: {secretName: aiagents}}
`

// fields is CloudNativePG's way: the cluster's Secret, and one of a managed role that has user and password only.
const fields = `
database:
  owner: {secretName: pg-app}
  app: {secretName: pg-app, user: {secretName: pg-role}, password: {secretName: pg-role}, host: {value: pg-rw}, port: {value: 5432}}
secrets: {encryptionKeys: {secretName: aiagents}}
`

const extras = `
image: {repository: registry.example.com/aiagents, digest: "sha256:` + zeros + `"}
imagePullSecrets: [{name: registry}]
commonLabels: {team: desk}
caBundle: {configMapName: company-ca}
secrets: {adminToken: {secretName: admin}, openaiApiKey: {secretName: openai}}
egress: {privateRanges: [{cidr: 10.20.0.0/16, ports: [443, 8080]}, {cidr: "fd12::/16", ports: [443]}]}
extraEnv: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://collector:4318"}]
extraEnvFrom: [{configMapRef: {name: more}}]
extraVolumes: [{name: scratch, emptyDir: {}}]
extraVolumeMounts: [{name: scratch, mountPath: /scratch}]
extraObjects:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-extra'}, data: {a: b}}
resourceQuota: {hard: {pods: "20"}}
networkPolicy:
  extraEgress: [{ports: [{protocol: TCP, port: 4318}]}]
  extraIngress: [{ports: [{protocol: TCP, port: 8081}]}]
serviceAccount: {annotations: {a: b}}
service: {annotations: {a: b}}
api: &role
  podAnnotations: {a: b}
  podLabels: {c: d}
  nodeSelector: {kubernetes.io/os: linux}
  tolerations: [{key: a, operator: Exists}]
  affinity: {nodeAffinity: {}}
  priorityClassName: high
  topologySpread: false
  extraContainers: [{name: side, image: side, securityContext: &restricted {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
  extraInitContainers: [{name: first, image: first, securityContext: *restricted}]
worker: *role
migrate: {podAnnotations: {sidecar.istio.io/inject: "false"}, podLabels: {e: f}, nodeSelector: {a: b}, tolerations: [{operator: Exists}]}
`

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// matrix is every way to install that the tests look at, each as the overlays that make it.
func matrix(t *testing.T) map[string][]values {
	t.Helper()
	b := parse(t, base)
	with := func(texts ...string) []values {
		overlays := []values{b}
		for _, text := range texts {
			overlays = append(overlays, parse(t, text))
		}
		return overlays
	}
	return map[string][]values{
		"minimal":    with(),
		"local":      {valuesFile(t, "values-local.yaml")},
		"staging":    {valuesFile(t, "values-staging.yaml")},
		"production": {valuesFile(t, "values-production.yaml")},
		"fields":     {parse(t, fields)},
		"pooler":     with(`database: {listenUrl: {secretName: aiagents-database}}`, `networkPolicy: {database: {ports: [5432, 6432]}}`),
		"mixed": {parse(t, fields), parse(t, `
database: {app: {url: {secretName: app}}, ca: {secretName: ca}}`)},
		"mixed the other way": {parse(t, fields), parse(t, `
database: {owner: {url: {secretName: owner}}, ca: {configMapName: ca, key: root.pem}}`)},
		"extras":              with(extras),
		"extras by fields":    {parse(t, fields), parse(t, extras)},
		"secret ca":           with(`caBundle: {secretName: company-ca, key: bundle.pem}`),
		"keda by age":         with(`worker: {autoscaling: {mode: keda, trigger: age, keda: {connection: {secretName: scaler}}}}`),
		"keda prometheus":     with(`worker: {autoscaling: {mode: keda, keda: {source: prometheus, prometheus: {serverAddress: "http://prometheus:9090"}}}}`),
		"keda prometheus age": with(`worker: {autoscaling: {mode: keda, trigger: age, keda: {source: prometheus, prometheus: {serverAddress: "http://prometheus:9090"}}}}`),
		"hpa":                 with(`worker: {autoscaling: {mode: hpa, hpa: {metricLabels: {namespace: ai-agents}}}}`, `api: {autoscaling: {enabled: true}}`),
		"hpa by age":          with(`worker: {autoscaling: {mode: hpa, trigger: age}}`),
		"service monitor":     with(`metrics: {monitor: serviceMonitor, labels: {release: prometheus}, rules: {enabled: true}, dashboards: {enabled: true}}`),
		"pod monitor":         with(`metrics: {monitor: podMonitor, labels: {release: prometheus}}`),
		"no policies":         with(`networkPolicy: {enabled: false}`, `podDisruptionBudget: {enabled: false}`),
		"open policies":       with(`networkPolicy: {dns: {to: []}, internet: {enabled: false}, webhooksFrom: [], metricsFrom: []}`),
		"ingress":             with(`ingress: {enabled: true, host: desk.example.com}`),
		"ingress plain":       with(`ingress: {enabled: true, host: desk.example.com, tlsSecretName: "", annotations: null}`),
		"no migration":        with(`migrate: {enabled: false}`, `serviceAccount: {create: false, name: mine}`),
		"names":               with(`fullnameOverride: desk-notes`, `image: {tag: v1.2.3}`),
		"long names":          with(`nameOverride: a-name-that-is-much-longer-than-any-label-of-kubernetes-may-be`),
		"settings":            with(`config: {log: {level: debug}, http: {trusted_proxies: [10.0.0.0/8]}, openai: {fallback_models: [a, b], timeout: 45s}, retrieval: {similar_floor: 0.5}}`),
	}
}
