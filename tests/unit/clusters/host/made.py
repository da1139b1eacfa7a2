"""Owns nodes for tests that start none, with all paths in a folder of the test's own."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from installer.adapters.programs import Programs
from installer.cancel import Cancel
from installer.clusters.host.layout import Node
from installer.clusters.host.provider import HostProvider
from installer.paths import Paths
from installer.progress import Progress


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
    """References without recipes: nothing here is built."""

    def reference(self, name: str) -> str:
        return f"docker.io/local/{name}:1"

    def build(self, name: str, progress: Progress, cancel: Cancel) -> Path:
        return Path(f"/cache/images/{name}.tar")


def a_provider(home: Path, name: str = "demo") -> HostProvider:
    return HostProvider(name, home / name, Programs(Paths.default().cache), NoImages())
