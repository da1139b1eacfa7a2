"""Nodes for tests that start none, with paths in the test's folder."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.host.cluster import HostCluster
from mlops_platform.clusters.host.layout import Node


def a_node(folder: Path = Path("/state/demo/node"), range_: str = "10.77.0.0/16") -> Node:
    return Node(
        environment="demo",
        folder=folder,
        range=IPv4Network(range_),
        kubernetes=Path("/cache/programs/kubernetes-1"),
        etcd=Path("/cache/programs/etcd-1/server"),
        plugins=Path("/usr/lib/cni"),
        pause_image="docker.io/local/pause:1",
        pause_archive=Path("/cache/images/pause.tar"),
    )


class NoImages:
    """An image store that builds nothing."""

    def reference(self, name: str) -> str:
        return f"docker.io/local/{name}:1"

    def build(self, name: str, progress: Progress, cancel: Cancel) -> Path:
        return Path(f"/cache/images/{name}.tar")


def a_provider(home: Path, name: str = "demo") -> HostCluster:
    return HostCluster(name, home / name, Programs(Paths.default().cache), NoImages())
