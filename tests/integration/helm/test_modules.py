"""Charts in Go modules: pinned by go.sum, rendered once, released with certificates and history."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlops_platform.adapters.helm import Certificate, Helm, ModuleCharts, Release, Rules
from mlops_platform.adapters.helm.rendered import Rendered
from mlops_platform.adapters.kube import Kube
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent

from tests.fakes.gomodules import publish
from tests.integration.helm.charts import definition

pytestmark = pytest.mark.integration

MODULE = "example.com/operator"
AUTHORITY = "an authority in PEM"
CHART = """\
apiVersion: v2
name: operator
version: 1.0.0
dependencies: [{name: other, version: 1.0.0, repository: https://charts.example.test}]
"""
OBJECTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: "{{ .Values.colour }}", kubernetes: "{{ .Capabilities.KubeVersion.Minor }}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: left-out}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: certificate}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: {{ .Release.Namespace }}}
webhooks:
  - name: hook.example.test
    admissionReviewVersions: [v1]
    sideEffects: None
    rules: [{apiGroups: [example.test], apiVersions: [v1], resources: [things], operations: [CREATE]}]
    clientConfig: {service: {name: hooks, namespace: {{ .Release.Namespace }}}}
"""
VALUES = {"colour": "blue"}


@pytest.fixture
def kind() -> str:
    """A kind that no other test defines: definitions outlive their release."""
    return f"Kind{secrets.token_hex(4)}"


@pytest.fixture
def source(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> ModuleCharts:
    """A published module with two charts: definitions, and all other objects."""
    proxy = tmp_path / "proxy"
    files = {
        "charts/definitions/Chart.yaml": "apiVersion: v2\nname: definitions\nversion: 1.0.0\n",
        "charts/definitions/crds/kind.yaml": definition(kind, "one"),
        "charts/operator/Chart.yaml": CHART,
        "charts/operator/values.yaml": "colour: red\n",
        "charts/operator/templates/all.yaml": OBJECTS,
    }
    monkeypatch.setenv("GOPROXY", proxy.as_uri())
    monkeypatch.setenv("GONOSUMDB", "*")
    sums = publish(proxy, MODULE, "v1.0.0", files)
    charts = ("charts/definitions", "charts/operator")
    return ModuleCharts(MODULE, "v1.0.0", sums, charts, Rules(omit=("Certificate", "ConfigMap/left-out")))


def release(namespace: str, source: ModuleCharts) -> Release:
    certificate = Certificate(AUTHORITY, ("hook-cert",), "0123")
    owner = {"mlops-platform/component": "operator"}
    return Release("operator", namespace, source, VALUES, owner=owner, certificate=certificate)


def test_module_is_released_by_its_rules(
    helm: Helm, kube: Kube, namespace: str, kind: str, source: ModuleCharts
) -> None:
    seen: list[Rendered] = []
    helm.upgrade(release(namespace, source), Silent(), Cancel(), seen.append)
    (rendered,) = seen
    assert [each["kind"] for each in rendered.objects] == [
        "CustomResourceDefinition",
        "ConfigMap",
        "ValidatingWebhookConfiguration",
    ]
    assert rendered.unmatched == ()
    settings = kube.get("v1", "ConfigMap", "settings", namespace)
    assert settings and settings["data"] == {"colour": "blue", "kubernetes": kube.version().split(".")[1]}
    defined = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{kind.lower()}s.example.test")
    assert defined and defined["metadata"]["labels"]["mlops-platform/component"] == "operator"
    hooks = kube.get("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", namespace)
    assert hooks
    assert base64.b64decode(hooks["webhooks"][0]["clientConfig"]["caBundle"]).decode() == AUTHORITY


def test_objects_that_fail_the_check_are_not_sent(
    helm: Helm, kube: Kube, namespace: str, kind: str, source: ModuleCharts
) -> None:
    def check(_: Rendered) -> None:
        raise StepError("wrong objects")

    with pytest.raises(StepError, match="wrong objects"):
        helm.upgrade(release(namespace, source), Silent(), Cancel(), check)
    name = f"{kind.lower()}s.example.test"
    assert not kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    assert (namespace, "operator") not in helm.installed()


def test_module_is_downloaded_once(
    make_helm: Callable[[], Helm], namespace: str, source: ModuleCharts, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_helm().upgrade(release(namespace, source), Silent(), Cancel())
    monkeypatch.setenv("GOPROXY", "off")
    later = make_helm()
    assert later.installed()[namespace, "operator"].digest == later.digest(release(namespace, source))
    changed = replace(release(namespace, source), values={"colour": "green"})
    assert later.diff(changed) == ["colour: blue → green"]
    later.upgrade(changed, Silent(), Cancel())


def test_webhooks_of_a_new_revision_have_not_answered(
    make_helm: Callable[[], Helm], namespace: str, source: ModuleCharts
) -> None:
    helm, wanted = make_helm(), release(namespace, source)
    helm.upgrade(wanted, Silent(), Cancel())
    assert not helm.installed()[namespace, "operator"].answered
    helm.note_answered(wanted)
    assert helm.installed()[namespace, "operator"].answered
    assert make_helm().installed()[namespace, "operator"].digest == helm.digest(wanted)
    helm.upgrade(replace(wanted, values={"colour": "green"}), Silent(), Cancel())
    assert not helm.installed()[namespace, "operator"].answered


def test_new_authority_is_a_difference(helm: Helm, namespace: str, source: ModuleCharts) -> None:
    wanted = release(namespace, source)
    renewed = replace(wanted, certificate=Certificate("another", ("hook-cert",), "0123"))
    restarted = replace(wanted, certificate=Certificate(AUTHORITY, ("hook-cert",), "4567"))
    digests = {helm.digest(each) for each in (wanted, renewed, restarted)}
    assert len(digests) == 3


def test_module_with_other_contents_is_an_error(
    helm: Helm, namespace: str, source: ModuleCharts, tmp_path: Path
) -> None:
    publish(tmp_path / "proxy", MODULE, "v1.0.0", {"charts/operator/Chart.yaml": CHART})
    with pytest.raises(StepError) as caught:
        helm.upgrade(release(namespace, source), Silent(), Cancel())
    assert "checksum mismatch" in caught.value.why
    assert (namespace, "operator") not in helm.installed()
    assert list((tmp_path / "cache" / "charts").iterdir()) == []


def test_chart_that_the_module_does_not_have_is_an_error(
    helm: Helm, namespace: str, source: ModuleCharts
) -> None:
    with pytest.raises(StepError, match="has no chart charts/gone"):
        helm.upgrade(release(namespace, replace(source, charts=("charts/gone",))), Silent(), Cancel())
