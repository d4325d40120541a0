{{/* The release's name, with the chart's where it does not hold it already; 40 characters leave room for suffixes. */}}
{{- define "asrpool.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- trunc 40 $name | trimSuffix "-" -}}
{{- end }}

{{- define "asrpool.operator" -}}
{{ include "asrpool.name" . }}-operator
{{- end }}

{{- define "asrpool.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "asrpool.operator" .) .Values.serviceAccount.name }}
{{- else -}}
{{ required "serviceAccount.name: name the ServiceAccount to use, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "asrpool.selector" -}}
app.kubernetes.io/name: asrpool
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "asrpool.labels" -}}
{{ include "asrpool.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Call with a dict of `image` and `root`. */}}
{{- define "asrpool.image" -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end }}

{{/* Of all containers here: nothing to gain, nothing to write. */}}
{{- define "asrpool.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "asrpool.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What the operator does with pools and their objects; every verb is one that it uses. Objects that a pool always has are
     never deleted by the operator: they go with the pool that owns them. */}}
{{- define "asrpool.rules" -}}
- apiGroups: [asrpool.dev]
  resources: [asrpools]
  verbs: [get, list, watch]
- apiGroups: [asrpool.dev]
  resources: [asrpools/status]
  verbs: [patch]
# Owner references that block a foreground deletion need this where the API server enforces it.
- apiGroups: [asrpool.dev]
  resources: [asrpools/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [configmaps, services, serviceaccounts]
  verbs: [list, watch, create, patch]
# The pools' admin tokens: made once, read by name; never listed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
