"""The host cluster: a Kubernetes node on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.humanize import plural
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import (
    Capabilities,
    Check,
    Cluster,
    ClusterAccess,
    Machine,
    Network,
    TrustedIssuer,
)
from mlops_platform.clusters.host import addons, addresses, checks, config, renewal, sign_in
from mlops_platform.clusters.host.containerd import Socket
from mlops_platform.clusters.host.daemons import daemons, etcd_binary, interpreter
from mlops_platform.clusters.host.layout import Node, Place
from mlops_platform.clusters.host.node.start import wrong
from mlops_platform.clusters.host.node.supervision import Supervision
from mlops_platform.clusters.host.options import Options
from mlops_platform.clusters.host.teardown import HostTeardown, start_or_stop
from mlops_platform.clusters.host.version import KUBERNETES, require_pinned_version
from mlops_platform.environment.model import ClusterSpec

HERE = Path(__file__).resolve().parent
RECIPES = HERE / "images"
ETCD = Program("etcd", HERE / "programs" / "etcd")
COREDNS = Program("coredns", HERE / "programs" / "coredns")
PAUSE = Program("pause", HERE / "programs" / "pause")
GPUS = Program("gpus", HERE / "programs" / "gpus")
STORAGE_CLASS = addons.STORAGE_CLASS
_PODS_SECONDS = 120


class ImageStore(Protocol):
    """Built images; a reference is known before the build."""

    def reference(self, name: str) -> str: ...
    def build(self, name: str, progress: Progress, cancel: Cancel) -> Path: ...


@dataclass(frozen=True)
class HostCluster(Cluster):
    """The host cluster of one environment."""

    environment: str
    state: Path
    built_programs: checks.ProgramStore
    built_images: ImageStore
    simulated_gpus: int = 0
    name = "host"
    where = "this machine"
    root = Paths.default().assets / "terraform" / "host"
    capabilities = Capabilities(
        embedded=True, takes_images=True, external_resources=False, keeps_data=True, trusts_issuers=True
    )
    recipe_folders = (RECIPES,)
    images = ("pause", "coredns")

    @property
    def programs(self) -> tuple[Program, ...]:
        return (KUBERNETES, ETCD, COREDNS, PAUSE, *([GPUS] if self.simulated_gpus else []))

    @property
    def simulated(self) -> str:
        return plural(self.simulated_gpus, "simulated GPU") if self.simulated_gpus else ""

    @property
    def folder(self) -> Path:
        return self.state.absolute() / "node"

    @property
    def kubeconfig(self) -> Path:
        return self.state.absolute() / "kubeconfig"

    @property
    def place(self) -> Place:
        """The folder and names of the node, known also when it does not exist."""
        return Place(self.environment, self.folder)

    @property
    def teardown(self) -> HostTeardown:
        return HostTeardown(self.place, self.kubeconfig)

    def checks(self) -> Sequence[Check]:
        return checks.all_checks(self.place, self.programs, self.built_programs)

    def machine(self) -> Machine:
        return checks.machine()

    def variables(self) -> Mapping[str, Any]:
        """Before `prepare` the certificate authority is '', and the addresses are candidates."""
        node = self._planned()
        authority = node.pki / "ca.crt"
        return {
            "name": self.environment,
            "config": str(node.file),
            "python": interpreter(),
            "fingerprint": _fingerprint(node),
            "endpoint": node.endpoint,
            "ca": authority.read_text() if authority.exists() else "",
            "kubeconfig": str(self.kubeconfig),
            "storage_class": STORAGE_CLASS,
        }

    def prepare(self, progress: Progress) -> None:
        """Write keys, configuration and node.json. Raises PreflightError when no address range is free."""
        from mlops_platform.clusters.host import pki  # imported at use: start-up time

        archive = self.built_images.build("pause", progress, Cancel())
        progress.say("keys and configuration files")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _one_at_a_time(self.state.parent):
            node = replace(self._planned(), pause_archive=archive)
            node.write()
        pki.ensure(node, self.kubeconfig)
        config.write(node)

    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        return ClusterAccess(
            name=outputs["cluster_name"],
            endpoint=outputs["endpoint"],
            kubeconfig=Path(outputs["auth"]["kubeconfig"]),
            storage_class=outputs["storage_class"],
            region=outputs["region"],
        )

    def network(self) -> Network:
        """No `outside`: the node has no route out, and this machine no route to its pods."""
        node = self._known()
        return Network((str(node.pods),)) if node else Network()

    def alive(self) -> str:
        node = self._known()
        if node is None:
            return "the node does not exist"
        return wrong(node) or renewal.due(node)

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Start the node; restart a running one to renew certificates that expire soon."""
        if Supervision(self.place).alive() and renewal.due(self.place):
            start_or_stop("stop", self.place, progress, cancel)
        self.prepare(progress)
        start_or_stop("start", self.place, progress, cancel)
        node = self._planned()
        wait_until(
            f"pods of node {node.name}",
            lambda: Pending(seen) if (seen := wrong(node)) else True,
            seconds=_PODS_SECONDS,
            cancel=cancel,
            on_seen=progress.say,
        )

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return addons.manifests(self._planned(), self.built_images.reference("coredns"))

    def trusted_issuer(self) -> TrustedIssuer | None:
        return sign_in.read(self.place)

    def trust_issuer(self, issuer: TrustedIssuer, kube: Kube, cancel: Cancel) -> None:
        files = config.with_issuer(self._planned(), issuer)
        sign_in.write(self.place, issuer, files["authentication.json"], files["hosts"])
        sign_in.wait_loaded(kube, files["authentication.json"], cancel)

    def images_present(self) -> frozenset[str]:
        return self._socket().images()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        socket = self._socket()
        for archive in archives:
            progress.say(f"loading {archive.stem}")
            socket.load(archive, cancel)

    def _known(self) -> Node | None:
        return Node.read(self.place.file) if self.place.file.exists() else None

    def _planned(self) -> Node:
        """The node as `prepare` would make it. A node with data keeps its addresses, which its Services and
        certificates contain."""
        known = self._known()
        if known is None:
            return self._node_with(self._free_range())
        if shutil.which("go") is None:  # without Go nothing can be built, and no version is known
            return known
        fresh = not (self.folder / "etcd" / "member").exists() and not Supervision(known).alive()
        if fresh and addresses.conflict(known):
            return self._node_with(self._free_range())
        return self._node_with(known.range)

    def _free_range(self) -> IPv4Network:
        claimed = (*addresses.routed(), *addresses.claimed_beside(self.folder))
        return addresses.pick(claimed, first=self.place.number)

    def _node_with(self, range_: IPv4Network) -> Node:
        etcd = self.built_programs.folder(ETCD)
        return Node(
            environment=self.environment,
            folder=self.folder,
            range=range_,
            kubernetes=self.built_programs.folder(KUBERNETES),
            etcd=etcd_binary(etcd) or etcd / "etcd",
            plugins=checks.plugins() or Path("/usr/lib/cni"),
            pause_image=self.built_images.reference("pause"),
            pause_archive=Path(),
            simulated_gpus=self.simulated_gpus,
            gpus=self.built_programs.folder(GPUS) if self.simulated_gpus else Path(),
        )

    def _socket(self) -> Socket:
        running = Supervision(self.place).running()
        if running is None:
            raise StepError(
                "the node is not running", hint="run `mlops-platform up`, which starts it with its data"
            )
        return Socket(running.init.pid)


def _fingerprint(node: Node) -> str:
    """The digest of everything that a node is started with: a change means a restart."""
    folders = HERE / "node", HERE / "firewall"
    sources = sorted(
        [*(f for folder in folders for f in folder.glob("*.py")), HERE / "volumes.py", HERE / "api.py"]
    )
    digest = hashlib.sha256()
    for text in (
        replace(node, pause_archive=Path()).text(),
        json.dumps(dict(config.render(node)), sort_keys=True),
        *(" ".join(daemon.argv) for daemon in daemons(node)),
        *(source.read_text() for source in sources),
    ):
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Lock: two environments of one home must not pick the same addresses at the same time."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for milliseconds
        yield
    finally:
        os.close(descriptor)


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs, _run: str) -> HostCluster:
    """Make the cluster object. Raises ConfigurationError for a Kubernetes version that is not pinned here."""
    require_pinned_version(spec.version, environment)
    images = Images(programs.cache, programs, find_recipes(RECIPES))
    gpus = spec.simulated_gpus if isinstance(spec, Options) else 0
    return HostCluster(environment, state, programs, images, gpus)
