{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .Release.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels of one workload's pods; one of several workloads has an additional label. */ -}}
{{- define "service.pods" -}}
{{- include "service.selector" .root }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* Ports of a workload: with several workloads only those it serves; the Service finds them by name. */ -}}
{{- define "service.ports" -}}
{{- $ports := .own.ports -}}
{{- if .part -}}
{{- $ports = dict -}}
{{- range .serves -}}
{{- $_ := set $ports . (required (printf "workloads: no port named %s" .) (get $.own.ports .)) -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end }}

{{- define "service.meta" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "service.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: mlops-platform
{{- end }}

{{- /* One probe: its action and its timing. */ -}}
{{- define "service.probe" -}}
{{- if .command }}
exec:
  command: {{ toJson .command }}
{{- else if .http }}
httpGet:
  port: {{ .http }}
  path: {{ .path | default "/" }}
{{- else }}
tcpSocket:
  port: {{ .tcp }}
{{- end }}
timeoutSeconds: {{ .timeoutSeconds | default 5 }}
{{- end }}
