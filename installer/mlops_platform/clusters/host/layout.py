"""Owns what one node is: its names, folders and addresses, and node.json, where they are kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private

# Inside the node every path is the same, wherever the state folder lies: programs and configuration
# files know only these. /run is a tmpfs of the node's own, so making them leaves nothing on the host.
INSIDE = Path("/run/node")
INSIDE_PROGRAMS = Path("/run/programs")
INSIDE_VOLUMES = Path("/var/lib/mlops-platform/volumes")
INSIDE_PLUGINS = Path("/run/plugins")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
FIREWALL_SOCKET = Path("/run/firewall.sock")

API_PORT = 6443
# Identities that are given rights by name, beside those that Kubernetes itself knows.
API_SERVER_USER = "mlops-platform:apiserver"
VOLUMES_USER = "mlops-platform:volumes"
FIREWALL_USER = "mlops-platform:firewall"
NODE_FILE = "node.json"


@dataclass(frozen=True)
class Place:
    """Where a node is or was: enough to find, stop and remove it when nothing else is known of it."""

    environment: str
    folder: Path

    @property
    def name(self) -> str:
        """The node's name in Kubernetes, and its host name."""
        return self.environment

    @property
    def _key(self) -> str:
        """Two homes may hold environments of one name: the state folder tells them apart."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def number(self) -> int:
        """Any number, always the same: nodes made at the same time in two homes look for addresses from
        different ends."""
        return int(self._key, 16)

    @property
    def group(self) -> str:
        """The folder that holds all its processes, in every cgroup hierarchy."""
        return f"mlops-{self.environment}-{self._key}"

    @property
    def interface(self) -> str:
        """The host's end of the one veth pair; the kernel allows 15 characters."""
        return f"mlops-{self._key}"

    @property
    def alias(self) -> str:
        """Written on the interface: what tells ours from another one of that name."""
        return f"mlops-platform/{self.environment}/{self._key}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def file(self) -> Path:
        return self.folder / NODE_FILE


@dataclass(frozen=True)
class Node(Place):
    """One node. `folder` is its state; `range` the /16 that all its addresses come from."""

    range: IPv4Network
    kubernetes: Path
    etcd: Path
    plugins: Path
    pause_image: str
    pause_archive: Path

    @property
    def link(self) -> IPv4Network:
        return next(self.range.subnets(new_prefix=30))

    @property
    def host_address(self) -> IPv4Address:
        return self.link[1]

    @property
    def address(self) -> IPv4Address:
        return self.link[2]

    @property
    def services(self) -> IPv4Network:
        """The second /20 of the range."""
        return list(self.range.subnets(new_prefix=20))[1]

    @property
    def pods(self) -> IPv4Network:
        """The upper half of the range."""
        return list(self.range.subnets(new_prefix=17))[1]

    @property
    def api_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.services[10]

    @property
    def endpoint(self) -> str:
        return f"https://{self.address}:{API_PORT}"

    def text(self) -> str:
        """node.json: what `read` reads."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, default=str) + "\n"

    def write(self) -> None:
        write_private(self.file, self.text())

    @classmethod
    def read(cls, file: Path) -> Node:
        """Raises StepError when there is no such file or it is not what `write` writes."""
        try:
            data = json.loads(file.read_text())
            return cls(
                environment=data["environment"],
                folder=Path(data["folder"]),
                range=IPv4Network(data["range"]),
                kubernetes=Path(data["kubernetes"]),
                etcd=Path(data["etcd"]),
                plugins=Path(data["plugins"]),
                pause_image=data["pause_image"],
                pause_archive=Path(data["pause_archive"]),
            )
        except FileNotFoundError as error:
            raise StepError(
                f"{file}: no such file", hint="the node was never prepared: mlops-platform up makes it"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StepError(
                f"{file} cannot be read",
                why=f"{type(error).__name__}: {error}",
                hint="run mlops-platform down, then up: a broken node.json is made anew",
            ) from error
