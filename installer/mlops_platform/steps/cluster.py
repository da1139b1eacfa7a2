"""The steps that make the cluster: Terraform, a running node, its images and add-ons."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import EnvironmentStep

CLUSTER = "cluster"
ADDONS_RECORD = "mlops-platform-addons"


@dataclass(frozen=True)
class CreateCluster(EnvironmentStep):
    """Apply Terraform; with unchanged inputs and state, Terraform is not even started."""

    path = "cluster/terraform"
    layer = CLUSTER

    def observe(self) -> Difference | None:
        terraform, cluster = self.context.terraform, self.context.cluster
        if not terraform.unchanged(cluster.variables()):
            return Difference("apply Terraform")
        self.context.access.set(cluster.access(terraform.outputs()))
        return None

    def run(self, progress: Progress) -> None:
        terraform, cluster = self.context.terraform, self.context.cluster
        cluster.prepare(progress)
        terraform.recover(progress, self.context.cancel)
        outputs = terraform.apply(cluster.variables(), progress, self.context.cancel)
        self.context.access.set(cluster.access(outputs))


@dataclass(frozen=True)
class ReviveCluster(EnvironmentStep):
    """Start what Terraform made and what has died since: a killed node restarts with its data."""

    path = "cluster/node"
    layer = CLUSTER

    def observe(self) -> Difference | None:
        self.context.access.get()
        wrong = self.context.cluster.alive()
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        self.context.cluster.revive(progress, self.context.cancel)


@dataclass(frozen=True)
class LoadImage(EnvironmentStep):
    """Put one built image on the nodes, or into the registry that they pull from."""

    name: str

    path = "cluster/image-{0.name}"
    layer = CLUSTER

    def observe(self) -> Difference | None:
        reference = self.context.images.reference(self.name)
        if reference in self.context.clients.images(self.context.cluster):
            return None
        return Difference("push" if self.context.cluster.registry else "load")

    def run(self, progress: Progress) -> None:
        archive = self.context.images.build(self.name, progress, self.context.cancel)
        self.context.cluster.load_images([archive], progress, self.context.cancel)


@dataclass(frozen=True)
class ApplyAddons(EnvironmentStep):
    """Apply the manifests that every cluster of this kind needs; with a recorded digest, a no-op is free."""

    path = "cluster/addons"
    layer = CLUSTER

    def _record(self) -> dict[str, object]:
        text = json.dumps(list(self.context.cluster.addons()), sort_keys=True)
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ADDONS_RECORD, "namespace": PLATFORM_NAMESPACE},
            "data": {"digest": hashlib.sha256(text.encode()).hexdigest()},
        }

    def observe(self) -> Difference | None:
        found = self.context.clients.kube.get("v1", "ConfigMap", ADDONS_RECORD, PLATFORM_NAMESPACE)
        return None if found and found["data"] == self._record()["data"] else Difference("apply")

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        addons = list(self.context.cluster.addons())
        kube.apply(*addons)
        workloads = [a for a in addons if a["kind"] in ("Deployment", "DaemonSet", "StatefulSet")]
        for namespace in sorted({w["metadata"]["namespace"] for w in workloads}):
            wait_ready(kube, namespace, progress=progress, cancel=self.context.cancel)
        kube.apply(self._record())
