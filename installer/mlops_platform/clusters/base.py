"""Owns the contract of a cluster provider: what the rest of the house may ask of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Program
    from mlops_platform.adapters.registry import Registry
    from mlops_platform.adapters.terraform.changes import Change
    from mlops_platform.adapters.terraform.remote import Remote
    from mlops_platform.clusters.bill import Bill
    from mlops_platform.clusters.managed import Given, Server


@dataclass(frozen=True)
class ClusterAccess:
    """How to reach the API server: the Terraform outputs, plus a kubeconfig file (mode 0600).

    `token` gives our own client one that is valid now, where the kubeconfig holds a program that makes one.
    """

    name: str
    endpoint: str
    kubeconfig: Path
    storage_class: str
    region: str
    token: Callable[[], str] | None = None


@dataclass(frozen=True)
class Network:
    """Addresses of a cluster that no selector leads to; empty where the provider cannot know them.

    `pods` are the networks pods have their addresses from. `outside` is no part of the cluster, yet a
    pod's packets get there and back: an address of this machine, or ADDRESS:PORT where somebody listens.
    `own_node`: its plugin may let a pod to the node it runs on whatever a policy says: "always allowed" in
    Kubernetes' own words (https://kubernetes.io/docs/concepts/services-networking/network-policies/).
    """

    pods: tuple[str, ...] = ()
    outside: str = ""
    own_node: bool = False


@dataclass(frozen=True)
class Check:
    """One line of `check`: ok, warning, failure or skipped (it could not be asked because of a failure
    above), with the figure that was seen and how to mend it."""

    name: str
    status: str
    seen: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Leftover:
    """Something a proof found: what kind, which one, and why it is still there if known.

    `keep` says why it stays on purpose, and is then no leak; `ours` that it is provably the environment's,
    the only thing a sweep deletes; `blocks` that Terraform's destroy would wait for it in vain; `protected`
    that it was made to be refused when somebody deletes it.
    """

    kind: str
    id: str
    detail: str = ""
    keep: str = ""
    ours: bool = True
    blocks: bool = False
    protected: bool = False


@dataclass(frozen=True)
class Retain:
    """What one word of `down --retain` keeps: kinds of an inventory, and Terraform's types of them."""

    kinds: tuple[str, ...]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoteEnvironment:
    """An environment found by its tags, wherever it was made from. `made` and `expires` are RFC 3339 or ''.

    `file` is its environment file as recorded; '' when no record is left, so that nothing of it is provably
    anybody's. `hourly` is what it costs at least, in dollars, None where that is not known.
    """

    name: str
    account: str
    region: str
    objects: int
    owner: str = ""
    made: str = ""
    expires: str = ""
    file: str = ""
    hourly: float | None = None


class ClusterProvider(Protocol):
    """A Terraform root + credentials + inventory. Capabilities are fields: nobody asks for the name."""

    @property
    def name(self) -> str:
        """'host', 'aws', 'existing'."""

    @property
    def root(self) -> Path:
        """The Terraform root module's folder."""

    @property
    def remote(self) -> Remote | None:
        """Where Terraform's state lies, when not on this machine."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """Go tool modules that must be built before Terraform runs."""

    @property
    def recipe_folders(self) -> tuple[Path, ...]:
        """Folders with image recipes of the cluster's own (its DNS, its pause container)."""

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the recipes that must be built before the cluster starts."""

    @property
    def external_resources(self) -> bool:
        """True: objects in the cluster make things outside of it (load balancers, disks), which must
        go before the cluster does."""

    @property
    def whole(self) -> bool:
        """True: all that is in the cluster is this environment's, and goes with it."""

    @property
    def keeps_data(self) -> bool:
        """True: it can be stopped and started again with its data, so `down --keep-data` makes sense."""

    @property
    def expires(self) -> bool:
        """True: it can be given a time to live, after which `reap` takes it down."""

    @property
    def retainable(self) -> Mapping[str, Retain]:
        """What `down --retain` may name."""

    @property
    def embedded(self) -> bool:
        """True: no image registry and no charts reachable, images are built here and loaded."""

    @property
    def takes_images(self) -> bool:
        """True: nodes can be given images that are built here."""

    @property
    def processor(self) -> str:
        """Of the nodes that run components, 'amd64' or 'arm64'; '' where that is not known beforehand."""

    @property
    def registry(self) -> Registry | None:
        """Where they are put for nodes to take them from; None: they are loaded onto the nodes."""

    @property
    def given(self) -> Mapping[str, Given]:
        """Capabilities that the cloud has, so that no component provides them."""

    @property
    def servers(self) -> Mapping[str, Server]:
        """The same, of those in which accounts are made."""

    @property
    def where(self) -> str:
        """For people: where the cluster is, as far as can be said at no cost."""

    @property
    def asks_first(self) -> bool:
        """True: what Terraform makes costs money or holds data, so it plans before it changes what exists,
        and a person is asked."""

    def bill(self, volumes: float) -> Bill | None:
        """What the cluster costs with `volumes` GiB of disks for components; None: nothing. Asks nobody."""

    def holds(self, change: Change) -> str:
        """What data is lost with an object that Terraform destroys, in words; '' when none is."""

    def checks(self) -> Sequence[Check]:
        """Preflight, all of them; reads only."""

    def variables(self) -> Mapping[str, Any]:
        """terraform.tfvars.json: no secrets."""

    def prepare(self, progress: Progress) -> None:
        """What must lie on disk before Terraform (PKI, configuration files). Idempotent."""

    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        """Outputs of the root -> how to reach the cluster."""

    def network(self) -> Network:
        """Known once the cluster was made; reads no more than files."""

    def alive(self) -> str:
        """'' when the cluster answers and its node is Ready with a fresh heartbeat, else what is wrong."""

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Bring a cluster that Terraform has made, and that died since, back with its data."""

    def addons(self) -> Sequence[Mapping[str, Any]]:
        """Manifests every cluster of this kind needs (DNS, storage class), in order."""

    def images_present(self) -> frozenset[str]:
        """References of images that nodes or registry hold already ('docker.io/local/mlflow:<digest12>')."""

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        """Make the nodes hold the images of these OCI archives, or their registry."""

    def require_same_location(self) -> None:
        """Before anything is changed: raises PreflightError when the environment is recorded elsewhere than
        where we would act now."""

    def expire(self, when: str) -> None:
        """From now on this environment may be taken down by anybody after `when`, RFC 3339."""

    def made(self) -> str:
        """Since when the environment costs something, RFC 3339; '' when it never does, or nobody knows."""

    def data(self) -> Sequence[Leftover]:
        """What holds data that is meant to outlive a cluster, and that `down` would delete."""

    def retain(self, words: Collection[str]) -> None:
        """Mark what `retainable` says of these words as kept, for later inventories too."""

    def inventory(self) -> Sequence[Leftover]:
        """Everything of this environment that exists now outside the state folder, plus state files."""

    def explained(self, left: Sequence[Leftover]) -> Sequence[Leftover]:
        """The same, each with what holds it, where that can be found out."""

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Remove the cluster's own files; with `keep_data` all but what brings the data back."""

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        """Delete what Terraform does not know of, if it is provably ours."""

    def recorded(self) -> str:
        """Where it is recorded, outside of this machine, whose all this is; '' when nowhere (any more)."""

    def forget(self, progress: Progress) -> None:
        """Remove that record. The last thing done, once the proof has found nothing."""
