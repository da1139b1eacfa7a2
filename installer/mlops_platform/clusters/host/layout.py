"""A node's names, folders and addresses, stored in node.json."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private

# Paths inside the node, independent of the state folder. /run is a tmpfs of the node, so they leave nothing
# on the host.
INSIDE = Path("/run/node")
INSIDE_PROGRAMS = Path("/run/programs")
INSIDE_VOLUMES = Path("/var/lib/mlops-platform/volumes")
INSIDE_PLUGINS = Path("/run/plugins")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
FIREWALL_SOCKET = Path("/run/firewall.sock")

API_PORT = 6443
# Identities that get rights by name, beside those of Kubernetes.
API_SERVER_USER = "mlops-platform:apiserver"
VOLUMES_USER = "mlops-platform:volumes"
FIREWALL_USER = "mlops-platform:firewall"
NODE_FILE = "node.json"


@dataclass(frozen=True)
class Place:
    """A node's environment and folder: enough to find, stop and remove it."""

    environment: str
    folder: Path

    @property
    def name(self) -> str:
        """The node's name in Kubernetes, and its host name."""
        return self.environment

    @property
    def _key(self) -> str:
        """A key from the state folder, because two homes can have environments of the same name."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def number(self) -> int:
        """A stable number: nodes of two homes start their search for addresses at different candidates."""
        return int(self._key, 16)

    @property
    def group(self) -> str:
        """The cgroup folder of all its processes, in every hierarchy."""
        return f"mlops-{self.environment}-{self._key}"

    @property
    def interface(self) -> str:
        """The host's end of the veth pair; the kernel allows 15 characters."""
        return f"mlops-{self._key}"

    @property
    def alias(self) -> str:
        """The alias of the interface, which distinguishes ours from another one of that name."""
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
    """One node. `folder` is its state; `range` the /16 of all its addresses."""

    range: IPv4Network
    kubernetes: Path
    etcd: Path
    plugins: Path
    pause_image: str
    pause_archive: Path
    simulated_gpus: int = 0
    gpus: Path = Path()  # the folder of their device plugin, if there are any

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
        """The contents of node.json."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, default=str) + "\n"

    def write(self) -> None:
        write_private(self.file, self.text())

    @classmethod
    def read(cls, file: Path) -> Node:
        """Read node.json. Raises StepError when it is missing or invalid."""
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
                simulated_gpus=data.get("simulated_gpus", 0),
                gpus=Path(data.get("gpus", "")),
            )
        except FileNotFoundError as error:
            raise StepError(
                f"{file}: no such file", hint="run `mlops-platform up`, which creates the node"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StepError(
                f"{file} cannot be read",
                why=f"{type(error).__name__}: {error}",
                hint="run `mlops-platform down`, then `up`, which writes a new node.json",
            ) from error
