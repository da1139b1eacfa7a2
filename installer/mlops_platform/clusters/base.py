"""The contract of a cluster provider: a cluster and its capabilities; see also cost.py and teardown.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.cost import NO_COST, Cost
from mlops_platform.clusters.teardown import Teardown

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.operators import Operator
    from mlops_platform.adapters.programs import Program
    from mlops_platform.adapters.registry import Registry
    from mlops_platform.adapters.terraform.remote import Remote
    from mlops_platform.clusters.managed import ManagedData, ManagedServer, ManagedService


@dataclass(frozen=True)
class ClusterAccess:
    """The access to the API server: the Terraform outputs, and a kubeconfig file (mode 0600).

    `token` returns a valid token for our own client, where the kubeconfig names an exec plugin.
    """

    name: str
    endpoint: str
    kubeconfig: Path
    storage_class: str
    region: str
    token: Callable[[], str] | None = None


@dataclass(frozen=True)
class Network:
    """Addresses of a cluster that no selector matches; empty where the provider cannot know them.

    `pods` are the CIDRs of pods; `nodes` are those of nodes, where nodes come and go. `outside` is no part of
    the cluster, but pods have a route to it: an address of this machine, or ADDRESS:PORT where a server
    listens. `own_node`: the network plugin may let a pod reach the node it runs on in spite of a policy:
    "always allowed" according to https://kubernetes.io/docs/concepts/services-networking/network-policies/.
    """

    pods: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    outside: str = ""
    own_node: bool = False


@dataclass(frozen=True)
class Check:
    """One line of `check`: its status is ok, warning, failure or skipped (an earlier failure prevents it).

    `seen` is the figure that was found, `fix` the instruction.
    """

    name: str
    status: str
    seen: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """The machine that carries a whole cluster; memory in bytes.

    `own_cores` and `own_memory` are those of the cluster's own programs, of its add-ons, and of the system.
    """

    cores: int
    memory: int
    own_cores: float
    own_memory: int


@dataclass(frozen=True)
class Capabilities:
    """The differences between clusters. Code reads these fields, never the provider's name."""

    embedded: bool  # neither image registry nor chart repository is reachable: images are built and loaded
    takes_images: bool  # nodes can run images that are built here
    external_resources: bool  # objects in the cluster create others outside: load balancers, disks
    dedicated: bool = True  # all that is in the cluster belongs to this environment and goes with it
    keeps_data: bool = False  # it can stop and start again with its data: `down --keep-data`
    trusts_issuers: bool = False  # this program can name an OIDC issuer to its API server
    expires: bool = False  # it can have a time to live, after which `reap` takes it down
    requires_confirmation: bool = False  # it costs money or holds data: plan first, and ask
    processor: str = ""  # of the nodes that run components: 'amd64', 'arm64'; '' when unknown


@dataclass(frozen=True)
class TrustedIssuer:
    """An OIDC issuer whose tokens an API server accepts as logins of users.

    `audience` of the tokens; the certificate `authority` (PEM) of its address; the claims with the name and
    the groups of a user; the `address` at which the cluster's machines reach its host.
    """

    url: str
    audience: str
    authority: str
    name_claim: str
    groups_claim: str
    address: str


class Cluster(ABC):
    """The cluster of one environment: its Terraform root, and what reaches, checks and fills it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The provider's name: 'host', 'aws', 'existing'."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The location of the cluster, for users, without a request."""

    @property
    def has_gpus(self) -> bool:
        """True if nodes have GPUs, or can have them once a pod needs one."""
        return bool(self.simulated)

    @property
    def simulated(self) -> str:
        """Hardware that the nodes advertise and do not have, in words: '4 simulated GPUs'."""
        return ""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """The capabilities of this cluster."""

    @property
    @abstractmethod
    def teardown(self) -> Teardown:
        """The part that finds and removes the environment's objects."""

    @property
    def cost(self) -> Cost:
        """The part that knows the price."""
        return NO_COST

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder of the Terraform root module."""

    @property
    def remote(self) -> Remote | None:
        """The backend of Terraform's state, when it is not on this machine."""
        return None

    @property
    def programs(self) -> tuple[Program, ...]:
        """Go tool modules that must be built before Terraform runs."""
        return ()

    @property
    def recipe_folders(self) -> tuple[Path, ...]:
        """Folders with image recipes of the cluster's own (its DNS, its pause container)."""
        return ()

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the recipes that must be built before the cluster starts."""
        return ()

    @property
    def registry(self) -> Registry | None:
        """The registry from which nodes pull images that are built here; None: they are loaded."""
        return None

    @property
    def managed(self) -> Mapping[str, ManagedService]:
        """Capabilities that services of the cloud provide, so that no component has to."""
        return {}

    @property
    def managed_servers(self) -> Mapping[str, ManagedServer]:
        """The same, for servers in which accounts are created."""
        return {}

    @property
    def project_data(self) -> ManagedData | None:
        """The data of projects, where a service of the cloud is the object store."""
        return None

    def machine(self) -> Machine | None:
        """The machine whose memory and cores are all that the cluster has; None where nodes come and go."""
        return None

    def operators(self, groups: Iterable[str]) -> Mapping[str, Operator]:
        """Operators for these API groups; none on a cluster that belongs to the environment. May ask it."""
        return {}

    @abstractmethod
    def checks(self) -> Sequence[Check]:
        """All preflight checks; they only read."""

    @abstractmethod
    def variables(self) -> Mapping[str, Any]:
        """The contents of terraform.tfvars.json: no secrets."""

    @abstractmethod
    def prepare(self, progress: Progress) -> None:
        """Write the files that Terraform needs (PKI, configuration). Idempotent."""

    @abstractmethod
    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        """Make the access to the cluster from the outputs of the root."""

    @abstractmethod
    def network(self) -> Network:
        """Addresses of a cluster that exists; reads only files."""

    @abstractmethod
    def alive(self) -> str:
        """'' when the cluster answers and its node is Ready with a fresh heartbeat, else what is wrong."""

    @abstractmethod
    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Start a cluster that Terraform has created and that stopped since, with its data."""

    @abstractmethod
    def addons(self) -> Sequence[Mapping[str, Any]]:
        """Manifests that every cluster of this kind needs (DNS, storage class), in order."""

    def images_present(self) -> frozenset[str]:
        """References of the images on the nodes or in the registry ('docker.io/local/mlflow:<digest12>')."""
        return self.registry.references() if self.registry else frozenset()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        """Load the images of these OCI archives onto the nodes, or push them to the registry."""
        assert self.registry, "called only where nodes can run images that are built here"
        for archive in archives:
            self.registry.push(archive, progress, cancel)

    def trusted_issuer(self) -> TrustedIssuer | None:
        """The OIDC issuer that `trust_issuer` set; reads only files."""
        return None

    def trust_issuer(self, issuer: TrustedIssuer, kube: Kube, cancel: Cancel) -> None:
        """Let the API server accept the tokens of this issuer, and of no other. Needs `trusts_issuers`."""
        raise NotImplementedError("needs the capability `trusts_issuers`")

    def require_same_location(self) -> None:
        """Raise PreflightError when the environment is recorded in another account or region than ours."""
        return
