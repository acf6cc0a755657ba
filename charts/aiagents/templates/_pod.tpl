{{/*
The pod of one role. Takes root, component (api or worker), command (serve or work), values (the role's own), and grace, the
seconds that an orderly stop may take.
*/}}
{{- define "aiagents.pod" -}}
{{- $v := .root.Values -}}
metadata:
  labels:
    {{- include "aiagents.labels" . | nindent 4 }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include (print .root.Template.BasePath "/configmap.yaml") .root | sha256sum }}
    kubectl.kubernetes.io/default-container: aiagents
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "aiagents.serviceAccountName" .root }}
  {{- include "aiagents.podSecurity" .root | nindent 2 }}
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .values.topologySpread }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "aiagents.selectorLabels" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- with .values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: aiagents
      image: {{ include "aiagents.image" .root }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args: [{{ .command }}]
      securityContext:
        {{- toYaml $v.containerSecurityContext | nindent 8 }}
      env:
        - name: AI_AGENTS_ENVIRONMENT
          value: {{ $v.environment }}
        - name: AI_AGENTS_CONFIG
          value: /etc/aiagents/config/config.yaml
        - name: AI_AGENTS_OPS_ADDR
          value: ":8081"
        {{- if eq .component "api" }}
        - name: AI_AGENTS_HTTP_ADDR
          value: ":8000"
        - name: AI_AGENTS_HTTP_SHUTDOWN_DELAY
          value: {{ printf "%ds" (int .values.shutdownDelaySeconds) }}
        {{- else }}
        - name: AI_AGENTS_WORKER_SOFT_STOP
          value: {{ printf "%ds" (int .values.softStopSeconds) }}
        {{- end }}
        {{- include "aiagents.appDatabase" .root | nindent 8 }}
        {{- if $v.database.listenUrl.secretName }}
        - name: AI_AGENTS_DATABASE_LISTEN_URL_FILE
          value: /etc/aiagents/secrets/database-listen-url
        {{- end }}
        {{- include "aiagents.encryptionKeysEnv" .root | nindent 8 }}
        {{- if $v.secrets.adminToken.secretName }}
        - name: AI_AGENTS_ADMIN_TOKEN_FILE
          value: /etc/aiagents/secrets/admin-token
        {{- end }}
        {{- with $v.egress.privateRanges }}
        - name: AI_AGENTS_EGRESS_ALLOW_CIDRS
          value: {{ range $i, $r := . }}{{ if $i }},{{ end }}{{ $r.cidr }}{{ end }}
        {{- end }}
        {{- if or $v.caBundle.secretName $v.caBundle.configMapName }}
        - name: AI_AGENTS_EGRESS_CA_FILE
          value: /etc/aiagents/ca/ca.crt
        - name: AI_AGENTS_OPENAI_CA_FILE
          value: /etc/aiagents/ca/ca.crt
        {{- end }}
        {{- if and (eq .component "worker") $v.secrets.openaiApiKey.secretName }}
        - name: AI_AGENTS_OPENAI_API_KEY_FILE
          value: /etc/aiagents/secrets/openai-api-key
        {{- end }}
        {{- with $v.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $v.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if eq .component "api" }}
        - {name: http, containerPort: 8000}
        {{- end }}
        - {name: ops, containerPort: 8081}
      startupProbe:
        httpGet: {path: /health, port: ops}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /health, port: ops}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /health/ready, port: {{ eq .component "api" | ternary "http" "ops" }}}
        periodSeconds: 5
        # The program gives its database 5 s to answer.
        timeoutSeconds: 6
        failureThreshold: 2
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/aiagents/config, readOnly: true}
        - {name: secrets, mountPath: /etc/aiagents/secrets, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- include "aiagents.databaseCAMount" .root | nindent 8 }}
        {{- if or $v.caBundle.secretName $v.caBundle.configMapName }}
        - {name: ca, mountPath: /etc/aiagents/ca, readOnly: true}
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "aiagents.fullname" .root }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- if $v.database.app.url.secretName }}
          {{- include "aiagents.secretFile" (list $v.database.app.url "database-url") | nindent 10 }}
          {{- end }}
          {{- if $v.database.listenUrl.secretName }}
          {{- include "aiagents.secretFile" (list $v.database.listenUrl "database-listen-url") | nindent 10 }}
          {{- end }}
          {{- include "aiagents.secretFile" (list $v.secrets.encryptionKeys "encryption-keys") | nindent 10 }}
          {{- if $v.secrets.adminToken.secretName }}
          {{- include "aiagents.secretFile" (list $v.secrets.adminToken "admin-token") | nindent 10 }}
          {{- end }}
          {{- if and (eq .component "worker") $v.secrets.openaiApiKey.secretName }}
          {{- include "aiagents.secretFile" (list $v.secrets.openaiApiKey "openai-api-key") | nindent 10 }}
          {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- include "aiagents.databaseCAVolume" .root | nindent 4 }}
    {{- with $v.caBundle }}
    {{- if .secretName }}
    - name: ca
      secret:
        secretName: {{ .secretName }}
        items: [{key: {{ .key }}, path: ca.crt}]
    {{- else if .configMapName }}
    - name: ca
      configMap:
        name: {{ .configMapName }}
        items: [{key: {{ .key }}, path: ca.crt}]
    {{- end }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
