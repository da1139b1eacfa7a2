"""A user with an existing cluster: the node of the tests, and a registry from which it pulls."""

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
from mlops_platform.base.paths import Paths
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster
from mlops_platform.clusters.host.node.supervision import Supervision

from tests.integration.apiserver import free_port
from tests.integration.node import Node
from tests.integration.registry import serving


@dataclass(frozen=True)
class Person:
    """A user with a kubeconfig, a registry, and an environment file for both."""

    folder: Path
    kubeconfig: Path

    cluster: dict[str, Any]

    def choose(self, **components: dict[str, Any]) -> None:
        text = {
            "name": "theirs",
            "domain": "mlops.test",
            "cluster": self.cluster,
            "components": components,
        }
        (self.folder / "theirs.yaml").write_text(json.dumps(text))

    @property
    def components(self) -> Path:
        """The folder of the user's own components."""
        folder = self.folder / "components"
        folder.mkdir(exist_ok=True)
        return folder

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
                "MLOPS_PLATFORM_COMPONENTS": str(self.components),
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
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(theirs))
        cluster = {
            "provider": "existing",
            "kubeconfig": str(kubeconfig),
            "context": theirs["current-context"],
            "storage_class": "standard",
            "registry": f"{server.host}/team/mlops",
            "pod_networks": list(provider.network().pods),
        }
        yield Person(tmp_path, kubeconfig, cluster)
