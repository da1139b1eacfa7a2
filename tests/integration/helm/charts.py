"""Small charts for tests."""

from __future__ import annotations

from pathlib import Path

_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.example.test
  labels: {{version: {version}}}
spec:
  group: example.test
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
"""

_CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  {{- range $key, $value := .Values.data }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
"""

# Helm waits for the Job of a hook, which never runs here: this keeps Helm in the middle of a command.
_HOLD = """\
{{- if .Values.hold }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hold
  annotations:
    helm.sh/hook: {{ .Values.hold }}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: hold, image: none}]
{{- end }}
"""

_CLAIM = """\
{{- if .Values.claim }}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
{{- end }}
"""


def write_chart(folder: Path, *, version: str = "1.0.0", kind: str = "") -> Path:
    """Write a chart with a ConfigMap of `data`; `hold` lists hooks that never end, `kind` is a new kind."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: {version}\n")
    (folder / "values.yaml").write_text('data: {}\nhold: ""\nclaim: false\n')
    (folder / "templates" / "config.yaml").write_text(_CONFIG)
    (folder / "templates" / "hold.yaml").write_text(_HOLD)
    (folder / "templates" / "claim.yaml").write_text(_CLAIM)
    if kind:
        (folder / "crds").mkdir(exist_ok=True)
        (folder / "crds" / "kind.yaml").write_text(definition(kind, version))
    return folder


def definition(kind: str, version: str) -> str:
    """A definition with the version of its chart as a label."""
    return _DEFINITION.format(kind=kind, plural=f"{kind.lower()}s", version=version)
