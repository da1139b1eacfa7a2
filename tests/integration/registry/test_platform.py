"""A component on an existing cluster: images from a registry, and no leftovers."""

from __future__ import annotations

import pytest
import yaml
from mlops_platform.adapters.wait import Pending, wait_until

from tests.integration.node import Node
from tests.integration.registry.conftest import Person

pytestmark = pytest.mark.integration


def spaces(node: Node) -> set[str]:
    return {each["metadata"]["name"] for each in node.kube.list("v1", "Namespace")}


def test_images_come_from_the_registry_and_down_leaves_nothing(node: Node, person: Person) -> None:
    meta = {"name": "somebodys"}
    node.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    before = spaces(node) - {"mlops-platform"}
    person.choose(postgres={})

    code, said = person.says("up", "--yes")
    assert code == 0, said
    (pod,) = node.kube.list("v1", "Pod", "postgres", labels="app.kubernetes.io/instance=postgres")
    (image,) = {each["image"] for each in pod["spec"]["containers"]}
    assert image.startswith("127.0.0.1:") and "/team/mlops:postgres-" in image
    code, said = person.says("up", "--yes")
    assert (code, said["data"]["changed"]) == (0, 0), said

    good = person.kubeconfig.read_text()
    lost = yaml.safe_load(good)
    lost["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    person.kubeconfig.write_text(yaml.safe_dump(lost))
    code, said = person.says("down", "--yes")
    assert code == 5, "a cluster that does not answer cannot be checked for leftovers"
    person.kubeconfig.write_text(good)

    code, said = person.says("down", "--yes")
    assert (code, said["data"]["left"]) == (0, []), said
    assert said["data"]["seen"] >= 2, "the namespace, and the copy of the kubeconfig"
    wait_until(
        "the namespace of the lock is gone",
        lambda: spaces(node) == before or Pending(str(spaces(node) - before)),
        seconds=60,
    )
    volumes = node.kube.list("v1", "PersistentVolume")
    assert [v for v in volumes if v["spec"]["claimRef"]["namespace"] == "postgres"] == []
    node.kube.delete("v1", "Namespace", "somebodys")
    code, said = person.says("down", "--yes")
    assert (code, [each["kind"] for each in said["data"]["stays"]]) == (0, ["images"]), said
