{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .Release.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "service.meta" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "service.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: mlops-platform
{{- end }}

{{- /* One probe: how it asks, then how often. */ -}}
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
