"""Finds what an environment has left in a cluster that stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.leftovers import Leftover
from mlops_platform.clusters.teardown import Teardown

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube


@dataclass(frozen=True)
class ExistingTeardown(Teardown):
    """`registry` is the repository to which images were pushed, '' without one; `kube` opens a client."""

    environment: str
    kubeconfig: Path
    registry: str
    kube: Callable[[], Kube]

    def inventory(self) -> Sequence[Leftover]:
        """The copy of the kubeconfig, and namespaces and kinds of operators with this environment's label.

        Images in a registry may serve others too. Raises StepError when the cluster does not answer: an
        inventory without an answer would be empty.
        """
        found = [Leftover("file", str(self.kubeconfig))] if self.kubeconfig.exists() else []
        if self.registry:
            found.append(Leftover("images", self.registry, keep="pushed to a registry of yours"))
        kube, labels = self.kube(), f"{ENVIRONMENT_LABEL}={self.environment}"
        kinds = kube.metadata("apiextensions.k8s.io/v1", "CustomResourceDefinition", labels=labels)
        found += [Leftover("kind", each["metadata"]["name"]) for each in kinds]
        spaces = kube.list("v1", "Namespace", labels=labels)
        found += [
            Leftover("namespace", each["metadata"]["name"], each["status"]["phase"].lower())
            for each in spaces
            if each["metadata"]["name"] != PLATFORM_NAMESPACE
        ]
        return tuple(found)

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        """Nothing: namespaces go with the releases in them."""

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        self.kubeconfig.unlink(missing_ok=True)

    def record_location(self) -> str:
        """The namespace of the lock, which this run holds until its end."""
        found = self.kube().get("v1", "Namespace", PLATFORM_NAMESPACE)
        meta = found["metadata"] if found else {}
        ours = (meta.get("labels") or {}).get(ENVIRONMENT_LABEL) == self.environment
        return f"namespace {PLATFORM_NAMESPACE}" if ours and "deletionTimestamp" not in meta else ""

    def remove_record(self, progress: Progress) -> None:
        self.kube().delete("v1", "Namespace", PLATFORM_NAMESPACE)
