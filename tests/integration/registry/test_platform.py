"""A component on an existing cluster: images from a registry, and no leftovers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.paths import Paths
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster
from mlops_platform.clusters.host.node.supervision import Supervision

from tests.integration.apiserver import free_port
from tests.integration.node import Node
from tests.integration.registry import serving

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Person:
    """A user with a kubeconfig, a registry, and an environment file for both."""

    folder: Path
    kubeconfig: Path

    def write(self, registry: str, pods: list[str], context: str) -> None:
        cluster = {
            "provider": "existing",
            "kubeconfig": str(self.kubeconfig),
            "context": context,
            "storage_class": "standard",
            "registry": f"{registry}/team/mlops",
            "pod_networks": pods,
        }
        text = {"name": "theirs", "domain": "mlops.test", "cluster": cluster, "components": {"postgres": {}}}
        (self.folder / "theirs.yaml").write_text(json.dumps(text))

    def says(self, *command: str) -> tuple[int, dict[str, Any]]:
        """Run a command; returns its exit code and envelope."""
        with (self.folder / "said.log").open("ab") as log:
            done = self._run(command, log)
        return done.returncode, json.loads(done.stdout)

    def _run(self, command: tuple[str, ...], log: IO[bytes]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "mlops_platform.cli", *command, "--env", "theirs", "--output", "json"],
            env={
                **os.environ,
                "MLOPS_PLATFORM_HOME": str(self.folder / "home"),
                "MLOPS_PLATFORM_ENVIRONMENTS": str(self.folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            timeout=600,
            check=False,
        )


@pytest.fixture
def person(node: Node, tmp_path: Path) -> Iterator[Person]:
    """A user whose push and whose node's containerd reach the same images, each on its own loopback."""
    default = Paths.default()
    programs = Programs(default.cache)
    images = Images(default.cache, programs, find_recipes(RECIPES))
    provider = HostCluster(node.name, node.kubeconfig.parent, programs, images)
    running = Supervision(provider.place).running()
    assert running
    (tmp_path / "registry").mkdir()
    inside = ["nsenter", "-t", str(running.init.pid), "-n", "--"]
    port = free_port()
    with (
        serving(tmp_path / "registry", port=port) as server,
        serving(tmp_path / "registry", port=port, within=inside),
    ):
        theirs = yaml.safe_load(node.kubeconfig.read_text())
        made = Person(tmp_path, tmp_path / "kubeconfig")
        made.kubeconfig.write_text(yaml.safe_dump(theirs))
        made.write(server.host, list(provider.network().pods), theirs["current-context"])
        yield made


def spaces(node: Node) -> set[str]:
    return {each["metadata"]["name"] for each in node.kube.list("v1", "Namespace")}


def test_images_come_from_the_registry_and_down_leaves_nothing(node: Node, person: Person) -> None:
    meta = {"name": "somebodys"}
    node.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    before = spaces(node) - {"mlops-platform"}

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
