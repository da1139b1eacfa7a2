"""Owns HostProvider: what the rest of the house asks of the host cluster, answered by this folder's parts."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from installer.adapters import process
from installer.cancel import Cancel
from installer.clusters.base import Check, ClusterAccess, Leftover, Program
from installer.clusters.host import addons, addresses, checks, config, inventory
from installer.clusters.host.containerd import Socket
from installer.clusters.host.daemons import etcd_binary
from installer.clusters.host.layout import Node
from installer.clusters.host.node.start import clear, command, wrong
from installer.clusters.host.node.supervision import Supervision
from installer.errors import ConfigurationError, Problem, StepError
from installer.paths import Paths
from installer.progress import Progress

HERE = Path(__file__).resolve().parent
RECIPES = HERE / "images"
KUBERNETES = Program("kubernetes", HERE / "programs" / "kubernetes")
ETCD = Program("etcd", HERE / "programs" / "etcd")
COREDNS = Program("coredns", HERE / "programs" / "coredns")
PAUSE = Program("pause", HERE / "programs" / "pause")
STORAGE_CLASS = addons.STORAGE_CLASS
REGION = "host"
# Enough to bring the data back: what is in etcd, the volumes, the keys both are read with, the addresses.
KEPT_WITH_DATA = ("etcd", "volumes", "pki", "node.json")
_START_SECONDS = 300
_LOADS_AT_ONCE = 2


class ProgramStore(Protocol):
    """Where built programs lie, whether or not they have been built."""

    def folder(self, program: Program) -> Path: ...


class ImageStore(Protocol):
    """Where built images lie; a reference is known before anything is built."""

    def reference(self, name: str) -> str: ...
    def build(self, name: str, progress: Progress, cancel: Cancel) -> Path: ...


@dataclass(frozen=True)
class HostProvider:
    """The host cluster of one environment. Capabilities are fields; see ClusterProvider for the contract."""

    environment: str
    state: Path
    built_programs: ProgramStore
    built_images: ImageStore
    minimum: checks.Requirements = checks.Requirements()
    name: str = "host"
    root: Path = Paths.default().assets / "terraform" / "host"
    programs: tuple[Program, ...] = (KUBERNETES, ETCD, COREDNS, PAUSE)
    recipe_folders: tuple[Path, ...] = (RECIPES,)
    images: tuple[str, ...] = ("pause", "coredns")
    external_resources: bool = False
    embedded: bool = True

    @property
    def folder(self) -> Path:
        return self.state.absolute() / "node"

    @property
    def kubeconfig(self) -> Path:
        return self.state.absolute() / "kubeconfig"

    def checks(self) -> Sequence[Check]:
        return checks.all_checks(self.folder, self.minimum, self.programs)

    def variables(self) -> Mapping[str, Any]:
        """Before `prepare` the certificate authority is '' and the addresses are those it would pick."""
        node = self._known() or self._proposed()
        authority = node.pki / "ca.crt"
        return {
            "name": self.environment,
            "config": str(node.file),
            "python": sys.executable,
            "fingerprint": self._fingerprint(node),
            "endpoint": node.endpoint,
            "ca": authority.read_text() if authority.exists() else "",
            "kubeconfig": str(self.kubeconfig),
            "storage_class": STORAGE_CLASS,
        }

    def prepare(self, progress: Progress) -> None:
        """Keys, configuration files and node.json. Raises PreflightError when no address range is free."""
        from installer.clusters.host import pki

        progress.say("keys and configuration files")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _one_at_a_time(self.state):
            node = self._prepared()
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

    def alive(self) -> str:
        from installer.clusters.host.renewal import due

        node = self._known()
        if node is None:
            return "the node was never made"
        return wrong(node) or due(node)

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Also renews certificates that end soon, which takes a restart when the node is running."""
        from installer.clusters.host.renewal import due

        node = self._need()
        if Supervision(node).alive() and due(node):
            self._node("stop", node, progress, cancel)
        self.prepare(progress)
        self._node("start", node, progress, cancel)

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return addons.manifests(self._known() or self._proposed(), self.built_images.reference("coredns"))

    def images_present(self) -> frozenset[str]:
        return self._socket().images()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        """Two at once: unpacking is half processor, half disk."""
        socket = self._socket()
        with ThreadPoolExecutor(_LOADS_AT_ONCE, thread_name_prefix="load") as pool:
            loads = {pool.submit(socket.load, archive, cancel): archive for archive in archives}
            for done, (load, archive) in enumerate(loads.items()):
                progress.fraction(done, len(archives), archive.name)
                load.result()

    def inventory(self) -> Sequence[Leftover]:
        return inventory.look(self._known() or self._proposed(), self.kubeconfig)

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Raises StepError while the node runs: its files are in use."""
        node = self._known() or self._proposed()
        if Supervision(node).alive():
            raise StepError("the node still runs", hint="stop it first", command=self._pasteable("stop", node))
        progress.say("removing the node's files")
        kept = KEPT_WITH_DATA if keep_data else ()
        for path in sorted(self.folder.iterdir()) if self.folder.exists() else ():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.kubeconfig.unlink(missing_ok=True)
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def sweep(self, found: Sequence[Leftover], progress: Progress) -> None:
        """A node that still runs is stopped as it should be; only what is left then is ended by force."""
        node = self._known() or self._proposed()
        if Supervision(node).alive() and node.file.exists():
            self._node("stop", node, progress, Cancel())
        for leftover in found:
            progress.note(f"removing {leftover.kind} {leftover.id} {leftover.detail}".rstrip())
        clear(node, Supervision(node))
        inventory.unmount(node)

    def _known(self) -> Node | None:
        file = self.folder / "node.json"
        return Node.read(file) if file.exists() else None

    def _need(self) -> Node:
        node = self._known()
        if node is None:
            raise StepError("the node was never made", hint="mlops-platform up makes it")
        return node

    def _proposed(self) -> Node:
        """The node as `prepare` would make it now."""
        claimed = (*addresses.routed(), *addresses.claimed_beside(self.folder))
        return self._node_with(addresses.pick(claimed))

    def _prepared(self) -> Node:
        """Keeps the addresses of a node that has data: they are in its Services and certificates."""
        known = self._known()
        if known is None:
            return self._proposed()
        fresh = not (self.folder / "etcd" / "member").exists() and not Supervision(known).alive()
        if fresh and addresses.conflict(known):
            return self._proposed()
        return self._node_with(known.range)

    def _node_with(self, range_: Any) -> Node:
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
        )
