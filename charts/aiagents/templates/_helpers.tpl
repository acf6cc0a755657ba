{{- define "aiagents.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "aiagents.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "aiagents.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "aiagents.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Selectors cannot be changed in an upgrade, so they hold these three labels for ever and nothing from the values. */}}
{{- define "aiagents.selectorLabels" -}}
app.kubernetes.io/name: {{ include "aiagents.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "aiagents.labels" -}}
app.kubernetes.io/name: {{ include "aiagents.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "aiagents.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "aiagents.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "aiagents.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Whether a database role is given, as one URL or field by field. */}}
{{- define "aiagents.hasRole" -}}
{{- if or .url.secretName .secretName .user.value .user.secretName -}}true{{- end -}}
{{- end -}}

{{/* One connection field: a value, or a key of its own Secret or of the role's. */}}
{{- define "aiagents.field" -}}
{{- if .field.value -}}
value: {{ .field.value | toString | quote }}
{{- else -}}
valueFrom:
  secretKeyRef:
    name: {{ .field.secretName | default .role.secretName | required (printf "%s: set a value, a secretName, or the role's secretName" .path) }}
    key: {{ .field.secretKey }}
{{- end -}}
{{- end -}}

{{/* The connection fields in the standard variables of Postgres, which need no URL encoding. */}}
{{- define "aiagents.pgFields" -}}
{{- $path := .path -}}
{{- $role := .role -}}
{{- range $name, $key := dict "PGHOST" "host" "PGPORT" "port" "PGUSER" "user" "PGPASSWORD" "password" "PGDATABASE" "database" }}
- name: {{ $name }}
  {{- include "aiagents.field" (dict "field" (index $role $key) "role" $role "path" (printf "%s.%s" $path $key)) | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "aiagents.pgTLS" -}}
- name: PGSSLMODE
  value: {{ .Values.database.sslMode }}
{{- if or .Values.database.ca.secretName .Values.database.ca.configMapName }}
- name: PGSSLROOTCERT
  value: /etc/aiagents/database-ca/ca.crt
{{- end }}
{{- end -}}

{{/* How a role connects to the database as the app. */}}
{{- define "aiagents.appDatabase" -}}
{{- $app := .Values.database.app -}}
{{- if not (include "aiagents.hasRole" $app) -}}
{{- fail "database.app: name the Secret with the app role's connection: database.app.secretName, or database.app.url.secretName" -}}
{{- end -}}
{{- if $app.url.secretName }}
- name: AI_AGENTS_DATABASE_URL_FILE
  value: /etc/aiagents/secrets/database-url
{{- else }}
{{- include "aiagents.pgFields" (dict "role" $app "path" "database.app") }}
- name: AI_AGENTS_DATABASE_URL
  value: "postgres://"
{{- end }}
{{ include "aiagents.pgTLS" . }}
{{- end -}}

{{/* How `migrate` connects as the owner, and how it learns the name of the app role, to which it grants. */}}
{{- define "aiagents.ownerDatabase" -}}
{{- $app := .Values.database.app -}}
{{- $owner := .Values.database.owner -}}
{{- if not (include "aiagents.hasRole" $owner) -}}
{{- if ne .Values.environment "development" -}}
{{- fail "database.owner: name the Secret with the owner role's connection; outside development the app role must not own the schema" -}}
{{- end -}}
{{- include "aiagents.appDatabase" . }}
{{- else -}}
{{- if $owner.url.secretName }}
- name: AI_AGENTS_MIGRATION_DATABASE_URL_FILE
  value: /etc/aiagents/secrets/migration-database-url
{{- else }}
{{- include "aiagents.pgFields" (dict "role" $owner "path" "database.owner") }}
- name: AI_AGENTS_MIGRATION_DATABASE_URL
  value: "postgres://"
{{- end }}
{{- if $app.url.secretName }}
- name: AI_AGENTS_DATABASE_URL_FILE
  value: /etc/aiagents/secrets/database-url
{{- else }}
- name: APP_DATABASE_USER
  {{- include "aiagents.field" (dict "field" $app.user "role" $app "path" "database.app.user") | nindent 2 }}
- name: AI_AGENTS_DATABASE_URL
  value: "user='$(APP_DATABASE_USER)'"
{{- end }}
{{ include "aiagents.pgTLS" . }}
{{- end -}}
{{- end -}}

{{- define "aiagents.encryptionKeysEnv" -}}
{{- if .Values.secrets.encryptionKeys.secretName -}}
- name: AI_AGENTS_ENCRYPTION_KEYS_FILE
  value: /etc/aiagents/secrets/encryption-keys
{{- else -}}
{{- fail "secrets.encryptionKeys.secretName: name the Secret with the keyring; make one with: kubectl create secret generic aiagents --from-literal=encryption-keys=\"k1:$(openssl rand -base64 32)\"" -}}
{{- end -}}
{{- end -}}

{{/* One file of the projected volume: secret name, key, and the path it appears under. */}}
{{- define "aiagents.secretFile" -}}
{{- with index . 0 }}
- secret:
    name: {{ .secretName }}
    items:
      - key: {{ .secretKey }}
        path: {{ index $ 1 }}
{{- end }}
{{- end -}}

{{- define "aiagents.databaseCAVolume" -}}
{{- with .Values.database.ca }}
{{- if .secretName }}
- name: database-ca
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0444
    items: [{key: {{ .key }}, path: ca.crt}]
{{- else if .configMapName }}
- name: database-ca
  configMap:
    name: {{ .configMapName }}
    items: [{key: {{ .key }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "aiagents.databaseCAMount" -}}
{{- if or .Values.database.ca.secretName .Values.database.ca.configMapName }}
- {name: database-ca, mountPath: /etc/aiagents/database-ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "aiagents.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The peers of a NetworkPolicy rule; none given means everywhere, so the key is left out. */}}
{{- define "aiagents.egressTo" -}}
{{- with .to }}
to:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end -}}

{{- define "aiagents.egressBase" -}}
- {{ with .Values.networkPolicy.dns.to }}to:
    {{- toYaml . | nindent 4 }}
  {{ end }}ports:
    - {protocol: UDP, port: {{ .Values.networkPolicy.dns.port }}}
    - {protocol: TCP, port: {{ .Values.networkPolicy.dns.port }}}
- {{- include "aiagents.egressTo" .Values.networkPolicy.database | nindent 2 }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
