"""A host cluster of the tests, and the state of the machine outside it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters import process
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster
from mlops_platform.clusters.host.layout import Node
from mlops_platform.clusters.host.node import cgroups
from mlops_platform.clusters.host.node.supervision import Supervision
from mlops_platform.clusters.leftovers import Leftover

from tests import proc

PROBE = "hostprobe"
QUIET = Silent()
SECRET = "a-secret-of-the-caller"
# Settings of the whole machine that a program of the node may want to change.
_SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


@dataclass(frozen=True)
class World:
    """One environment with only a host cluster."""

    provider: HostCluster
    images: Images

    @classmethod
    def make(cls, name: str, home: Path) -> World:
        programs = Programs(Paths.default().cache)
        images = Images(programs.cache, programs, find_recipes(RECIPES, Path(__file__).parent / "images"))
        provider = HostCluster(name, home / name, programs, images)
        for program in provider.programs:
            programs.build(program, QUIET, Cancel())
        return cls(provider, images)

    @property
    def node(self) -> Node:
        return Node.read(self.provider.place.file)

    @property
    def supervision(self) -> Supervision:
        return Supervision(self.provider.place)

    @cached_property
    def kube(self) -> Kube:
        return Kube(self.provider.kubeconfig)

    def start(self) -> float:
        """Start the node; return the seconds until it is Ready."""
        started = time.monotonic()
        self.provider.revive(QUIET, Cancel())
        return time.monotonic() - started

    def furnish(self) -> None:
        """Load images and apply add-ons."""
        names = (*self.provider.images, PROBE)
        archives = [self.images.build(name, QUIET, Cancel()) for name in names]
        self.provider.load_images(archives, QUIET, Cancel())
        self.kube.apply(*self.provider.addons())
        wait_ready(self.kube, "kube-system", progress=QUIET, cancel=Cancel())

    def outside(self) -> list[Leftover]:
        """Leftovers of the inventory, without files."""
        return [found for found in self.provider.teardown.inventory() if found.kind != "file"]

    def run(self, name: str, *args: str, claim: str = "", wait: bool = True) -> str:
        """Run a `restricted` pod with `args`; return its log after its end."""
        self.kube.apply(pod(self.images.reference(PROBE), name, args, claim))
        if wait:
            self.until(name, "Succeeded")
        return self.kube.logs("test", name) if wait else ""

    def until(self, name: str, phase: str) -> dict[str, Any]:
        def observe() -> dict[str, Any] | Pending:
            found = self.kube.get("v1", "Pod", name, "test")
            status = found["status"] if found else {}
            return found if found and status.get("phase") == phase else Pending(json.dumps(status))

        return wait_until(f"pod {name} {phase}", observe, seconds=40, longest_delay=0.2)


def namespace(name: str) -> dict[str, Any]:
    """A namespace with pod security `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def claim(name: str) -> dict[str, Any]:
    """A claim without a class, so that the default class is used."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "test"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def pod(image: str, name: str, args: Sequence[str], claim: str = "", space: str = "test") -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "probe",
        "image": image,
        "args": list(args),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "spec": spec,
    }


def machine(besides: Sequence[str] = ()) -> dict[str, Any]:
    """State that a node must not change. `besides`: interfaces that may change."""
    links = json.loads(process.run(["ip", "-json", "link"]).stdout)
    routes = json.loads(process.run(["ip", "-json", "-4", "route"]).stdout)
    others = [link["ifname"] for link in links if not link["ifname"].startswith("mlops-")]
    return {
        "tables": process.run(["nft", "list", "tables"]).stdout,
        "interfaces": sorted(set(others) - set(besides)),
        "routes": sorted(r["dst"] for r in routes if not str(r.get("dev", "")).startswith("mlops-")),
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "settings": {name: Path("/proc/sys", name).read_text() for name in _SETTINGS},
        "folders": sorted(
            str(p) for top in ("/var/lib", "/var/log", "/opt", "/run") for p in Path(top).iterdir()
        ),
        "rules": process.run(["iptables-save"]).stdout.count("KUBE-"),
    }


def kill(identity: ProcessId) -> None:
    """Send SIGKILL and wait until the process is dead."""
    assert identity.kill(9), "no process to kill"
    proc.wait_gone([identity])


def with_argument(group: str, word: str) -> list[int]:
    """Pids of the node's processes with an argument that ends with a word."""
    pids = sorted(cgroups.processes(group))
    return [pid for pid in pids if any(argument.endswith(word.encode()) for argument in proc.argv(pid))]


def found_in(group: str, program: str) -> ProcessId:
    """The node's process that runs a program, found by the end of its command."""
    for pid in sorted(cgroups.processes(group)):
        identity = ProcessId.of(pid)
        if proc.argv(pid)[0].decode().endswith(program) and identity:
            return identity
    raise AssertionError(f"no {program} in {group}")
