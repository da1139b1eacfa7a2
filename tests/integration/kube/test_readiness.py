"""Readiness on a real API server, with status written as by controllers and kubelet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.readiness import (
    WORKLOADS_LABEL,
    counts,
    selectors,
    wait_ready,
    waiting_for,
    workload_count,
)
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, StepError, WaitTimedOut
from mlops_platform.base.progress import Silent

from tests.integration.kube.objects import (
    deployment,
    ended,
    pod,
    report,
    rolled_out,
    running,
    waiting,
)

pytestmark = pytest.mark.integration


class RecordingProgress(Silent):
    """Stores messages; each message starts the next state of the cluster."""

    def __init__(self, steps: Iterator[Callable[[], None]]) -> None:
        self.lines: list[str] = []
        self._steps = steps

    def say(self, text: str) -> None:
        self.lines.append(text)
        next(self._steps, lambda: None)()


def test_namespace_without_workloads_is_ready(kube: Kube, namespace: str) -> None:
    assert waiting_for(kube, namespace) == ""
    assert counts(kube, namespace, "none") == (0, 0)


def test_workload_without_status_is_not_ready(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    assert waiting_for(kube, namespace) == "deployment store: Rolling (its change has not been seen yet)"


def test_rolled_out_workload_with_a_settled_pod_is_ready(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=1)
    pod(kube, namespace, "store-1", "store", running(seconds=600))
    assert waiting_for(kube, namespace, "store") == ""
    assert counts(kube, namespace, "store") == (1, 1)
    assert selectors(kube, namespace, "store") == ["app=store"]


def test_container_without_probe_must_run_for_a_while(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=1)
    pod(kube, namespace, "store-1", "store", running(seconds=0))
    seen = waiting_for(kube, namespace, "store")
    assert seen == "pod store-1: Started (main has no probe and has just started)"


def test_only_the_given_release_counts(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    deployment(kube, namespace, "other")
    rolled_out(kube, namespace, "store", ready=1)
    assert waiting_for(kube, namespace, "store") == ""
    assert waiting_for(kube, namespace, "other") != ""
    assert counts(kube, namespace, "store") == (1, 1)


def test_waiting_container_shows_its_events(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    pod(kube, namespace, "store-1", "store", waiting("ContainerCreating"))
    assert waiting_for(kube, namespace) == "pod store-1: ContainerCreating"
    event(kube, namespace, "Pulling", "Pulling image x", second=1)
    assert waiting_for(kube, namespace) == "pod store-1: ContainerCreating (pulling image)"
    event(kube, namespace, "FailedMount", "no such secret", second=2)
    assert waiting_for(kube, namespace) == "pod store-1: ContainerCreating (FailedMount: no such secret)"


def test_missing_secret_of_a_volume_is_named_until_it_exists(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    pod(kube, namespace, "store-1", "store", waiting("ContainerCreating"))
    text = 'MountVolume.SetUp failed for volume "cert" : secret "hook-cert" not found'
    event(kube, namespace, "FailedMount", text, second=1)
    assert waiting_for(kube, namespace) == "pod store-1: FailedMount (Secret hook-cert does not exist)"
    meta = {"name": "hook-cert", "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    assert waiting_for(kube, namespace) == f"pod store-1: ContainerCreating (FailedMount: {text})"


def test_pods_of_the_newest_replica_set_are_looked_at_first(kube: Kube, namespace: str) -> None:
    """An old pod in a crash loop is not the reason why a rollout does not end."""
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    owner = kube.get("apps/v1", "Deployment", "store", namespace)
    assert owner
    for revision, digest in ((9, "1old"), (10, "2new")):
        replica_set(kube, namespace, owner, revision=revision, digest=digest)
        labels = {"pod-template-hash": digest}
        pod(kube, namespace, f"store-{digest}", "store", waiting("ContainerCreating"), labels)
    report(kube, namespace, "store-1old", ended(1, restarts=7))
    assert waiting_for(kube, namespace) == "pod store-2new: ContainerCreating"
    kube.delete("v1", "Pod", "store-2new", namespace, grace_seconds=0)
    assert waiting_for(kube, namespace).startswith("pod store-1old: ")


def replica_set(kube: Kube, namespace: str, owner: dict[str, Any], *, revision: int, digest: str) -> None:
    """Create one of a Deployment's ReplicaSets as its controller does."""
    by = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "store", "uid": owner["metadata"]["uid"]}
    labels = {"app": "store", "pod-template-hash": digest}
    template = owner["spec"]["template"]
    kube.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"store-{digest}",
                "namespace": namespace,
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [by],
            },
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {**template, "metadata": {"labels": labels}},
            },
        }
    )


def event(kube: Kube, namespace: str, reason: str, message: str, *, second: int) -> None:
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"e{second}", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "name": "store-1", "namespace": namespace},
            "lastTimestamp": f"2026-01-01T00:00:0{second}Z",
            "reason": reason,
            "message": message,
        }
    )


def test_deleted_workload_is_missing(kube: Kube, namespace: str) -> None:
    labels = {"owner": "helm", "name": "store", "status": "deployed", "version": "1", WORKLOADS_LABEL: "2"}
    record = {"name": "sh.helm.release.v1.store.v1", "namespace": namespace, "labels": labels}
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": record})
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=1)
    assert waiting_for(kube, namespace, "store") == "release store: Missing (1 of its workloads are gone)"


def test_workload_count_uses_the_namespace_of_the_release() -> None:
    manifest = """
---
kind: Deployment
metadata: {name: a}
---
kind: StatefulSet
metadata: {name: b, namespace: here}
---
kind: DaemonSet
metadata: {name: c, namespace: kube-system}
---
kind: Service
metadata: {name: d}
---
# nothing but a comment
"""
    assert workload_count(manifest, "here") == 2


def test_wait_ends_when_ready_and_reports_progress(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    pod(kube, namespace, "store-1", "store", waiting("PodInitializing"))

    def all_ready() -> None:
        report(kube, namespace, "store-1", running(seconds=600))
        rolled_out(kube, namespace, "store", ready=1)

    progress = RecordingProgress(iter([all_ready]))
    wait_ready(kube, namespace, "store", progress=progress, cancel=Cancel(), seconds=20)
    assert progress.lines == ["pod store-1: PodInitializing"]


def test_crash_loop_ends_the_wait_after_three_restarts(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    pod(kube, namespace, "store-1", "store", ended(3))
    steps = iter([lambda n=n: report(kube, namespace, "store-1", ended(3, restarts=n)) for n in (1, 2, 3)])
    progress = RecordingProgress(steps)
    with pytest.raises(StepError) as failed:
        wait_ready(kube, namespace, "store", progress=progress, cancel=Cancel(), seconds=60)
    assert not isinstance(failed.value, WaitTimedOut)
    assert failed.value.what == "pod store-1: Ended, and waiting will not change it"
    assert failed.value.why.startswith("exit 3, 3 restarts")
    assert failed.value.command == kube.kubectl("--namespace", namespace, "describe", "pod", "store-1")
    assert progress.lines == [
        "pod store-1: Ended (exit 3)",
        "pod store-1: Ended (exit 3, 1 restarts)",
        "pod store-1: Ended (exit 3, 2 restarts)",
    ]


def test_missing_image_ends_the_wait_at_once(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    rolled_out(kube, namespace, "store", ready=0)
    pod(kube, namespace, "store-1", "store", waiting("ErrImageNeverPull", "image is not present"))
    with pytest.raises(StepError) as failed:
        wait_ready(kube, namespace, progress=Silent(), cancel=Cancel(), seconds=60)
    assert failed.value.what == "pod store-1: ErrImageNeverPull, and waiting will not change it"
    assert "image is not present" in failed.value.why


def test_timeout_has_the_last_observation(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    with pytest.raises(WaitTimedOut) as failed:
        wait_ready(kube, namespace, "store", progress=Silent(), cancel=Cancel(), seconds=0.2)
    assert "deployment store: Rolling" in failed.value.why
    assert failed.value.command == kube.kubectl("--namespace", namespace, "describe", "pods")


def test_wait_can_be_cancelled(kube: Kube, namespace: str) -> None:
    deployment(kube, namespace, "store")
    cancel = Cancel()
    with pytest.raises(Interrupted):
        progress = RecordingProgress(iter([cancel.request]))
        wait_ready(kube, namespace, progress=progress, cancel=cancel, seconds=60)
