"""Overlays on kustomizations in a Go module, rendered by the real kustomize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.helm import KUSTOMIZE, ModuleCharts
from mlops_platform.adapters.helm.kustomize import render_overlay
from mlops_platform.adapters.helm.module import charts
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent

from tests.fakes.gomodules import publish
from tests.integration.apiserver import built

pytestmark = pytest.mark.integration

MODULE = "example.com/operator"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: hooks, namespace: theirs}\n"
FILES = {
    "config/default/kustomization.yaml": "resources: [objects.yaml]\n",
    "config/default/objects.yaml": SERVICE,
    "config/outside/kustomization.yaml": "resources: [../default]\n",
}
OVERLAY = {
    "kustomization.yaml": "namespace: ours\nresources: [upstream/config/default, own.yaml]\n",
    "own.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata: {image: local/operator:1}\n",
}


@pytest.fixture
def sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    proxy = tmp_path / "proxy"
    monkeypatch.setenv("GOPROXY", proxy.as_uri())
    monkeypatch.setenv("GONOSUMDB", "*")
    return publish(proxy, MODULE, "v1.0.0", FILES)


def rendered(tmp_path: Path, sums: tuple[str, ...], base: str, **files: str) -> list[Any]:
    overlay = OVERLAY | {f"{name}.yaml": text for name, text in files.items()}
    source = ModuleCharts(MODULE, "v1.0.0", sums, (base,), overlay=tuple(sorted(overlay.items())))
    folder = charts(tmp_path / "cache", source, Silent(), Cancel())
    return render_overlay(built(KUSTOMIZE) / "kustomize", folder, source)


def test_own_files_and_those_of_the_module_are_one_release(tmp_path: Path, sums: tuple[str, ...]) -> None:
    found = rendered(tmp_path, sums, "config/default")
    assert [(each["kind"], each["metadata"]["namespace"]) for each in found] == [
        ("ConfigMap", "ours"),
        ("Service", "ours"),
    ]
    assert found[0]["data"] == {"image": "local/operator:1"}


def test_changed_overlay_is_another_release(sums: tuple[str, ...]) -> None:
    first, second = (
        ModuleCharts(MODULE, "v1.0.0", sums, ("config/default",), overlay=(("own.yaml", text),))
        for text in ("a", "b")
    )
    assert first.identity() != second.identity()
    assert first.digest == second.digest, "what is copied out of the module is the same"


def test_folder_that_the_module_does_not_have_is_an_error(tmp_path: Path, sums: tuple[str, ...]) -> None:
    with pytest.raises(StepError, match="has no kustomization config/none") as caught:
        rendered(tmp_path, sums, "config/none")
    assert "config/default" in str(caught.value.why)


@pytest.mark.parametrize(
    ("base", "kustomization"),
    [
        ("config/outside", "resources: [upstream/config/outside]\n"),
        ("config/default", "resources: [upstream/config/default, https://example.test/more]\n"),
    ],
)
def test_reference_to_what_is_not_copied_is_an_error(
    tmp_path: Path, sums: tuple[str, ...], base: str, kustomization: str
) -> None:
    with pytest.raises(StepError, match="refers to a file that is not there"):
        rendered(tmp_path, sums, base, kustomization=kustomization)
