"""Custom resources of a component on a real API server: applied, compared by contents, repaired, dropped."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.base.progress import Silent
from mlops_platform.run.context import Context
from mlops_platform.steps.release.objects import ApplyObjects

from tests.integration.release.components import operator

pytestmark = pytest.mark.integration


@pytest.fixture
def group(kube: Kube) -> str:
    """A group of a cluster-scoped kind with a default value, as operators define them."""
    name = f"g{secrets.token_hex(4)}.test"
    spec = {
        "type": "object",
        "properties": {
            "image": {"type": "string"},
            "ports": {"type": "array", "items": {"type": "integer"}},
            "replicas": {"type": "integer", "default": 1},
        },
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    kube.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"runtimes.{name}"},
            "spec": {
                "group": name,
                "names": {"kind": "Runtime", "plural": "runtimes"},
                "scope": "Cluster",
                "versions": [version],
            },
        }
    )
    return name


def step(kube: Kube, folder: Path, group: str, *objects: dict[str, str]) -> ApplyObjects:
    texts = [
        f"apiVersion: {group}/v1\nkind: Runtime\nmetadata: {{name: {each['name']}}}\n"
        f'spec: {{image: "{each.get("image", "${image_manager}")}", ports: [80, 81]}}\n'
        for each in objects
    ]
    (folder / "runtimes.yaml").write_text("---\n".join(texts))
    resolved = operator("operator", folder, objects=["runtimes.yaml"])
    clients = SimpleNamespace(kube=kube, kube_for_write=lambda: kube)
    return ApplyObjects(cast(Context, SimpleNamespace(clients=clients)), resolved)


def summary(each: ApplyObjects) -> str:
    difference = each.observe()
    return difference.summary if difference else ""


def specs(kube: Kube, group: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each["spec"] for each in kube.list(f"{group}/v1", "Runtime")}


def test_objects_are_applied_once_with_their_variables(kube: Kube, tmp_path: Path, group: str) -> None:
    made = step(kube, tmp_path, group, {"name": "python"}, {"name": "torch", "image": "other"})
    assert summary(made) == "apply Runtime python, Runtime torch"
    made.run(Silent())
    assert summary(made) == ""
    found = specs(kube, group)
    assert found["python"] == {"image": "local/operator:1", "ports": [80, 81], "replicas": 1}
    assert found["torch"]["image"] == "other"


def test_manual_change_is_drift_and_is_repaired(kube: Kube, tmp_path: Path, group: str) -> None:
    made = step(kube, tmp_path, group, {"name": "python"})
    made.run(Silent())
    for spec in ({"image": "mine"}, {"ports": [80]}, {"ports": None}):
        kube.patch(f"{group}/v1", "Runtime", "python", body={"spec": spec})
        assert summary(made) == "apply again Runtime python"
        made.run(Silent())
        assert summary(made) == ""
    assert specs(kube, group)["python"]["ports"] == [80, 81]


def test_changed_file_is_applied_and_dropped_object_is_deleted(
    kube: Kube, tmp_path: Path, group: str
) -> None:
    step(kube, tmp_path, group, {"name": "python"}, {"name": "torch"}).run(Silent())
    mine = {"apiVersion": f"{group}/v1", "kind": "Runtime", "metadata": {"name": "mine"}, "spec": {}}
    kube.create(mine)
    later = step(kube, replace_folder(tmp_path), group, {"name": "python", "image": "new"})
    assert summary(later) == "apply again Runtime python; delete Runtime torch"
    later.run(Silent())
    assert summary(later) == ""
    found = specs(kube, group)
    assert found.keys() == {"python", "mine"}
    assert found["python"]["image"] == "new"


def replace_folder(folder: Path) -> Path:
    """A folder of a newer version: files are read once a run, by their time."""
    later = folder / "later"
    later.mkdir()
    return later


def test_kind_that_is_not_served_yet_is_a_difference(kube: Kube, tmp_path: Path) -> None:
    made = step(kube, tmp_path, "none.test", {"name": "python"})
    assert summary(made) == "apply Runtime python"
    assert summary(replace(made)) == "apply Runtime python"
