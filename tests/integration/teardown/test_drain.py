"""Drain steps against a real API server, which delete only objects in our namespaces."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.helm.release import read_installed
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent
from mlops_platform.run.context import Context
from mlops_platform.teardown.drain import (
    DeleteCustomResources,
    DeleteLoadBalancers,
    DeleteVolumes,
    SuspendCronJobs,
    UninstallOthers,
)
from mlops_platform.teardown.ignore_errors import IgnoreErrors
from mlops_platform.teardown.snapshots import GROUPS, KeepSnapshots

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class World:
    """One of our namespaces and one of another owner, in a shared cluster."""

    kube: Kube
    context: Context
    ours: str
    theirs: str

    def make(self, each: dict[str, Any], **labels: str) -> None:
        for space in (self.ours, self.theirs):
            meta = {**each["metadata"], "namespace": space, **({"labels": labels} if labels else {})}
            self.kube.create({**each, "metadata": meta})

    def names(self, api_version: str, kind: str, space: str) -> list[str]:
        return [each["metadata"]["name"] for each in self.kube.list(api_version, kind, space)]


class RecordingProgress(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def world(kube: Kube, namespace: str) -> Iterator[World]:
    name = f"drain-{secrets.token_hex(4)}"
    ensure_namespace(kube, name, name)
    context = SimpleNamespace(
        clients=SimpleNamespace(kube=kube, kube_for_write=lambda: kube),
        cluster=SimpleNamespace(capabilities=SimpleNamespace(dedicated=False)),
        environment=SimpleNamespace(name=name),
        helm=SimpleNamespace(installed=dict),
        cancel=Cancel(),
    )
    yield World(kube, cast(Context, context), name, namespace)


def pod(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x"}], **more}


def restricted(**more: Any) -> dict[str, Any]:
    """A pod that the namespaces of an environment accept."""
    limits = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "c", "image": "x", "securityContext": limits}
    context = {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"containers": [container], "securityContext": context, **more}


def definition(group: str, kind: str, plural: str, *, scope: str = "Namespaced") -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    about = {"api-approved.kubernetes.io": "unapproved, of a test"}  # required in API groups of Kubernetes
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": about},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": scope,
            "versions": [version],
        },
    }


def test_cron_jobs_are_suspended_once(world: World) -> None:
    template = {"spec": {"template": {"spec": pod(restartPolicy="Never")}}}
    spec = {"schedule": "0 * * * *", "jobTemplate": template}
    world.make({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec})
    step = SuspendCronJobs(world.context)
    assert step.observe()
    step.run(Silent())
    assert step.observe() is None
    suspended = [
        world.kube.list("batch/v1", "CronJob", space)[0]["spec"].get("suspend")
        for space in (world.ours, world.theirs)
    ]
    assert suspended == [True, False]


def test_custom_resources_without_chart_or_owner_are_deleted(world: World) -> None:
    group = f"{world.ours}.test"
    world.kube.apply(definition(group, "Model", "models"))
    model = {"apiVersion": f"{group}/v1", "kind": "Model"}
    world.make({**model, "metadata": {"name": "mine"}})
    world.make({**model, "metadata": {"name": "charts"}}, **{"app.kubernetes.io/managed-by": "Helm"})
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": secrets.token_hex(8)}
    world.make({**model, "metadata": {"name": "owned", "ownerReferences": [owner]}})
    step = DeleteCustomResources(world.context)
    assert step.observe()
    step.run(Silent())
    assert step.observe() is None
    assert set(world.names(f"{group}/v1", "Model", world.ours)) == {"charts", "owned"}
    assert len(world.names(f"{group}/v1", "Model", world.theirs)) == 3


def test_retained_snapshots_get_the_policy_retain(world: World) -> None:
    assert KeepSnapshots(world.context).observe() is None  # the cluster does not have this kind
    group = "snapshot.storage.k8s.io"
    content = {"apiVersion": f"{group}/v1", "kind": "VolumeSnapshotContent"}
    world.kube.apply(definition(group, "VolumeSnapshot", "volumesnapshots"))
    world.kube.apply(definition(group, content["kind"], "volumesnapshotcontents", scope="Cluster"))
    world.make({"apiVersion": f"{group}/v1", "kind": "VolumeSnapshot", "metadata": {"name": "before"}})
    for space in (world.ours, world.theirs):
        where = {"namespace": space, "name": "before"}
        spec = {"deletionPolicy": "Delete", "volumeSnapshotRef": where}
        world.kube.create({**content, "metadata": {"name": f"of-{space}"}, "spec": spec})
    progress = RecordingProgress()
    step = KeepSnapshots(world.context)
    difference = step.observe()
    assert difference and difference.summary == "retain 1 snapshots"
    step.run(progress)
    assert step.observe() is None
    assert progress.notes == [f"snapshot of-{world.ours} of {world.ours}/before stays"]
    policies = {
        each["metadata"]["name"]: each["spec"]["deletionPolicy"]
        for each in world.kube.list(content["apiVersion"], content["kind"])
    }
    assert policies == {f"of-{world.ours}": "Retain", f"of-{world.theirs}": "Delete"}
    assert DeleteCustomResources(world.context, GROUPS).observe() is None
    assert DeleteCustomResources(world.context).observe(), "without --retain they are deleted"


def test_load_balancers_and_ingresses_are_deleted(world: World) -> None:
    ports = [{"port": 80}]
    service = {"apiVersion": "v1", "kind": "Service"}
    world.make({**service, "metadata": {"name": "out"}, "spec": {"type": "LoadBalancer", "ports": ports}})
    world.make({**service, "metadata": {"name": "in"}, "spec": {"ports": ports}})
    backend = {"service": {"name": "in", "port": {"number": 80}}}
    world.make(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web"},
            "spec": {"defaultBackend": backend},
        }
    )
    step = DeleteLoadBalancers(world.context)
    difference = step.observe()
    assert difference and difference.summary == "delete 1 Ingress, 1 Service"
    step.run(Silent())
    assert step.observe() is None
    assert world.names("v1", "Service", world.ours) == ["in"]
    assert set(world.names("v1", "Service", world.theirs)) == {"in", "out"}
    assert world.names("networking.k8s.io/v1", "Ingress", world.theirs) == ["web"]


def test_users_of_claims_scale_to_zero_and_retained_volumes_stay(world: World) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim["storageClassName"] = "none"
    world.make(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim}
    )
    for name, volumes in (
        ("with", [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]),
        ("without", []),
    ):
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": pod(volumes=volumes)}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        world.make({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    volume = f"pv-{world.ours}"
    world.kube.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": "none",
                "hostPath": {"path": "/nowhere"},
                "claimRef": {"namespace": world.ours, "name": "data"},
            },
        }
    )
    # The status that a controller sets once the claim is gone; there is no controller here.
    released = {"status": {"phase": "Released"}}
    world.kube.patch("v1", "PersistentVolume", volume, body=released, subresource="status")

    DeleteVolumes(world.context, retain=True).run(Silent())

    found = world.kube.get("v1", "PersistentVolume", volume)
    assert found and found["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    replicas = {
        (space, each["metadata"]["name"]): each["spec"]["replicas"]
        for space in (world.ours, world.theirs)
        for each in world.kube.list("apps/v1", "Deployment", space)
    }
    assert replicas == {
        (world.ours, "with"): 0,
        (world.ours, "without"): 2,
        (world.theirs, "with"): 2,
        (world.theirs, "without"): 2,
    }
    theirs = world.kube.get("v1", "PersistentVolumeClaim", "data", world.theirs)
    assert theirs and "deletionTimestamp" not in theirs["metadata"]


def test_jobs_and_pods_without_a_controller_stop_only_if_their_claims_are_ours(world: World) -> None:
    """In the namespaces of others they go on, as do StatefulSets with claims of their own."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "home"}, "spec": {**spec, "storageClassName": "none"}}
    mounted = restricted(volumes=[{"name": "h", "persistentVolumeClaim": {"claimName": "home"}}])
    world.make({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    world.kube.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": space},
            }
            for space in (world.ours, world.theirs)
        )
    )
    world.make({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "notebook"}, "spec": mounted})
    world.make({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": restricted()})
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": pod()}
    stateful: dict[str, Any] = {
        "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": template,
    }
    stateful |= {"replicas": 1, "volumeClaimTemplates": [claim]}
    world.make({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": stateful})
    job = {"template": {"spec": {**mounted, "restartPolicy": "Never"}}}
    world.make({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": job})
    for space in (world.ours, world.theirs):
        uid = world.kube.list("batch/v1", "Job", space)[0]["metadata"]["uid"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": uid, "controller": True}
        meta = {"name": "train-0", "namespace": space, "ownerReferences": [owner]}
        world.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": mounted})

    DeleteVolumes(world.context).run(Silent())

    def going(space: str) -> tuple[set[str], bool | None, int]:
        jobs, sets = (
            world.kube.list(*kind, space) for kind in (("batch/v1", "Job"), ("apps/v1", "StatefulSet"))
        )
        return (
            set(world.names("v1", "Pod", space)),
            jobs[0]["spec"].get("suspend"),
            sets[0]["spec"]["replicas"],
        )

    assert going(world.ours) == ({"other", "train-0"}, True, 0)
    assert going(world.theirs) == ({"notebook", "other", "train-0"}, False, 1)


def test_failed_step_is_noted_and_ignored_with_force(world: World) -> None:
    class Failing(SuspendCronJobs):
        def run(self, progress: object) -> None:
            raise StepError("no answer", why="first\nlast")

    progress = RecordingProgress()
    IgnoreErrors(Failing(world.context)).run(progress)
    assert progress.notes == ["ignored because of --force: no answer: last"]


def test_releases_of_removed_component_folders_are_found(world: World) -> None:
    def record(name: str) -> dict[str, Any]:
        labels = {"owner": "helm", "name": name, "status": "deployed", "version": "1"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}}

    for name in ("known", "gone"):
        for space in (world.ours, world.theirs):
            each = record(name)
            world.kube.create({**each, "metadata": {**each["metadata"], "namespace": space}})
    known = SimpleNamespace(name="known", component=SimpleNamespace(namespace=world.ours))
    context = cast(Any, world.context)
    context.resolved = {"known": known}
    context.helm = SimpleNamespace(
        installed=lambda: read_installed(world.kube.metadata("v1", "Secret", labels="owner=helm"))
    )
    difference = UninstallOthers(world.context).observe()
    assert difference and difference.summary == "uninstall gone"
