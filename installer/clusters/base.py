"""Owns the contract of a cluster provider: what the rest of the house may ask of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from installer.cancel import Cancel
from installer.progress import Progress

if TYPE_CHECKING:
    from installer.adapters.terraform.changes import Change
    from installer.adapters.terraform.remote import Remote
    from installer.bill import Bill


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
    """Something a proof found: what kind, which one, and why it is still there if known."""

    kind: str
    id: str
    detail: str = ""


@dataclass(frozen=True)
class Program:
    """Go tools to build: a folder with go.mod + go.sum; `name` is the cache's and the screen's name."""

    name: str
    module: Path


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
    def embedded(self) -> bool:
        """True: no image registry and no charts reachable, images are built here and loaded."""

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

    def alive(self) -> str:
        """'' when the cluster answers and its node is Ready with a fresh heartbeat, else what is wrong."""

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Bring a cluster that Terraform has made, and that died since, back with its data."""

    def addons(self) -> Sequence[Mapping[str, Any]]:
        """Manifests every cluster of this kind needs (DNS, storage class), in order."""

    def images_present(self) -> frozenset[str]:
        """Image references the nodes hold already ('docker.io/local/mlflow:<digest12>')."""

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        """Make the nodes hold the images of these OCI archives."""

    def inventory(self) -> Sequence[Leftover]:
        """Everything of this environment that exists now outside the state folder, plus state files."""

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Remove the cluster's own files; with `keep_data` all but what brings the data back."""

    def sweep(self, found: Sequence[Leftover], progress: Progress) -> None:
        """Delete what Terraform does not know of."""
