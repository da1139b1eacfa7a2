"""Releases with pods on a real node: successful and failed rollouts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.helm import KUSTOMIZE, Helm, InTreeChart, Release
from mlops_platform.adapters.kube import rollout
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.kube.readiness import counts, waiting_for
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent

from tests.integration.apiserver import built
from tests.integration.node import Node

pytestmark = pytest.mark.integration

_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 3
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: main
          image: {{ .Values.image }}
          command: [python3, -c, {{ .Values.program | quote }}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
SLEEPS = "import time; print('up', flush=True); time.sleep(3600)"
CRASHES = "import sys; print('cannot find my data'); sys.exit(7)"


@pytest.fixture
def make_helm(helm_binary: Path, node: Node, tmp_path: Path) -> Callable[[], Helm]:
    """Helm with the cluster of the node, instead of the API server without nodes."""
    return lambda: Helm(
        lambda: helm_binary,
        node.kubeconfig,
        tmp_path / "helm",
        cache=tmp_path / "cache",
        kube=node.kube,
        kustomize=lambda progress, cancel: built(KUSTOMIZE) / "kustomize",
    )


@pytest.fixture
def namespace(node: Node) -> str:
    name = f"rollout-{secrets.token_hex(4)}"
    ensure_namespace(node.kube, name, node.name)
    return name


@pytest.fixture
def release(node: Node, namespace: str, tmp_path: Path) -> Callable[..., Release]:
    chart = tmp_path / "runs"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: runs\nversion: 1.0.0\n")
    (chart / "templates" / "deployment.yaml").write_text(_DEPLOYMENT)

    def make(**values: Any) -> Release:
        default = {"image": node.image, "replicas": 2, "program": SLEEPS}
        return Release("runs", namespace, InTreeChart(chart), {**default, **values}, timeout_seconds=120)

    return make


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_upgrade_and_uninstall_wait_for_pods(
    node: Node, make_helm: Callable[[], Helm], namespace: str, release: Callable[..., Release]
) -> None:
    progress = Said()
    make_helm().upgrade(release(), progress, Cancel())
    assert counts(node.kube, namespace, "runs") == (2, 2)
    assert any("pod runs-" in line for line in progress.lines), progress.lines
    progress = Said()
    make_helm().uninstall(namespace, "runs", progress)
    assert node.kube.metadata("v1", "Pod", namespace) == []
    assert any("pods still end" in line for line in progress.lines), progress.lines


def test_failed_rollout_has_the_log_and_can_be_fixed(
    node: Node,
    make_helm: Callable[[], Helm],
    namespace: str,
    release: Callable[..., Release],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StepError) as failed, monkeypatch.context() as patched:
        patched.setattr(rollout, "SETTLE_SECONDS", 60)  # a loaded kubelet sees the end of a program late
        make_helm().upgrade(release(program=CRASHES, replicas=1), Silent(), Cancel())
    assert failed.value.what.startswith("pod runs-")
    assert "exit 7" in failed.value.why
    assert "the end of its log:\ncannot find my data" in failed.value.why
    again = make_helm()
    found = again.installed()[namespace, "runs"]
    assert (found.status, found.digest) == ("deployed", again.digest(release(program=CRASHES, replicas=1)))
    assert "pod runs-" in waiting_for(node.kube, namespace, "runs")
    again.upgrade(release(replicas=1), Silent(), Cancel())
    assert waiting_for(node.kube, namespace, "runs") == ""


def test_deleted_or_scaled_workloads_are_restored(
    node: Node, make_helm: Callable[[], Helm], namespace: str, release: Callable[..., Release]
) -> None:
    make_helm().upgrade(release(), Silent(), Cancel())
    node.kube.delete("apps/v1", "Deployment", "runs", namespace)
    assert waiting_for(node.kube, namespace, "runs") == "release runs: Missing (1 of its workloads are gone)"
    make_helm().upgrade(release(), Silent(), Cancel())
    assert counts(node.kube, namespace, "runs") == (2, 2)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/runs/scale?fieldManager=kubectl"
    merge = "application/merge-patch+json"
    node.kube.raw("PATCH", path, {"spec": {"replicas": 1}}, content_type=merge)
    make_helm().upgrade(release(), Silent(), Cancel())
    assert counts(node.kube, namespace, "runs") == (2, 2)
