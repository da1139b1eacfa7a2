"""Operators during `down` on a real API server: a stopped one blocks nothing, a running one does its work."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.kube.webhooks import ADMISSION, CONFIGURATIONS
from mlops_platform.base.labels import COMPONENT_LABEL
from mlops_platform.run.context import Context
from mlops_platform.teardown.drain import DeleteCustomResources
from mlops_platform.teardown.operators import (
    DEFINITIONS,
    DeleteDefinitions,
    SilenceWebhooks,
    finalizer_remover,
)

from tests.integration.kube.objects import deployment, rolled_out
from tests.integration.teardown.test_drain import RecordingProgress, World, definition, world

__all__ = ["world"]
pytestmark = pytest.mark.integration

FINALIZER = "operator.example.test/cleanup"


def install(world: World, *, scope: str = "Namespaced", environment: str = "") -> str:
    """Define a kind of an operator of the environment; return its API version."""
    group = f"{world.ours}{'' if scope == 'Namespaced' else '-cluster'}.test"
    made = definition(group, "Model", "models", scope=scope)
    labels = {ENVIRONMENT_LABEL: environment or world.ours, COMPONENT_LABEL: "operator"}
    made["metadata"]["labels"] = labels
    world.kube.apply(made)
    return f"{group}/v1"


def make(kube: Kube, api_version: str, name: str, namespace: str = "") -> None:
    meta = {"name": name, "finalizers": [FINALIZER], **({"namespace": namespace} if namespace else {})}
    kube.create({"apiVersion": api_version, "kind": "Model", "metadata": meta})


def of_operator(world: World, space: str) -> World:
    """The same world, with the release of the operator in a namespace."""
    helm = SimpleNamespace(installed=lambda: {(space, "operator"): None})
    context = SimpleNamespace(**{**vars(world.context), "helm": helm})
    return replace(world, context=cast(Context, context))


def test_objects_of_a_stopped_operator_are_deleted_everywhere_with_a_note_for_each(world: World) -> None:
    api_version, cluster = install(world), install(world, scope="Cluster")
    for space in (world.ours, world.theirs):
        make(world.kube, api_version, "iris", space)
    make(world.kube, cluster, "shared")
    step, progress = DeleteCustomResources(of_operator(world, world.ours).context), RecordingProgress()
    difference = step.observe()
    assert difference and difference.summary == "delete 3 Model"
    step.run(progress)
    assert step.observe() is None
    assert sorted(progress.notes) == sorted(
        f"Model {name}: finalizer {FINALIZER} is removed: operator does not run"
        for name in (f"{world.ours}/iris", f"{world.theirs}/iris", "shared")
    )


def test_finalizers_of_a_running_operator_and_of_others_stay(world: World) -> None:
    api_version = install(world)
    for name in ("iris", "living"):
        make(world.kube, api_version, name, world.ours)
    world.kube.delete(api_version, "Model", "iris", world.ours)
    found = world.kube.list(api_version, "Model", world.ours)
    progress, there = RecordingProgress(), of_operator(world, world.ours)
    deployment(world.kube, world.ours, "operator")
    rolled_out(world.kube, world.ours, "operator", ready=1)
    finalizer_remover(there.context, world.kube, progress)(found)
    assert progress.notes == []
    rolled_out(world.kube, world.ours, "operator", ready=0)
    finalizer_remover(there.context, world.kube, progress)(found)
    assert len(progress.notes) == 1
    assert world.names(api_version, "Model", world.ours) == ["living"], "it was not deleted"
    theirs = SimpleNamespace(**{**vars(there.context), "environment": SimpleNamespace(name="another")})
    world.kube.delete(api_version, "Model", "living", world.ours)
    finalizer_remover(cast(Context, theirs), world.kube, progress)(
        world.kube.list(api_version, "Model", world.ours)
    )
    assert len(progress.notes) == 1


def test_own_kinds_are_deleted_after_the_operators_and_kinds_of_others_stay(world: World) -> None:
    api_version = install(world)
    install(world, scope="Cluster", environment="another")
    make(world.kube, api_version, "late", world.theirs)
    step, progress = DeleteDefinitions(world.context), RecordingProgress()
    difference = step.observe()
    assert difference and difference.summary == "delete 1 CustomResourceDefinitions"
    step.run(progress)
    assert step.observe() is None
    assert len(progress.notes) == 1
    assert not world.kube.get(*DEFINITIONS, f"models.{world.ours}.test")
    assert world.kube.get(*DEFINITIONS, f"models.{world.ours}-cluster.test")


def hooks(world: World, name: str, space: str, service: str) -> None:
    client = {"service": {"name": service, "namespace": space}}
    rule = {"apiGroups": ["x.test"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["things"]}
    hook: dict[str, Any] = {"name": "things.x.test", "clientConfig": client, "rules": [rule]}
    hook |= {"admissionReviewVersions": ["v1"], "sideEffects": "None"}
    meta = {"name": name}
    world.kube.create(
        {"apiVersion": ADMISSION, "kind": CONFIGURATIONS[0], "metadata": meta, "webhooks": [hook]}
    )


def endpoints(world: World, service: str, *, ready: bool) -> None:
    labels = {"kubernetes.io/service-name": service}
    world.kube.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": service, "namespace": world.ours, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        }
    )


def test_webhooks_without_a_ready_pod_are_deleted(world: World) -> None:
    names = {name: f"{name}-{world.ours}" for name in ("served", "stopped", "gone", "theirs")}
    for name in ("served", "stopped", "gone"):
        hooks(world, names[name], world.ours, name)
    hooks(world, names["theirs"], world.theirs, "gone")
    endpoints(world, "served", ready=True)
    endpoints(world, "stopped", ready=False)
    step, progress = SilenceWebhooks(world.context), RecordingProgress()
    difference = step.observe()
    assert difference and difference.summary == "delete 2 webhooks that nothing serves"
    step.run(progress)
    assert step.observe() is None
    left = {each["metadata"]["name"] for each in world.kube.list(ADMISSION, CONFIGURATIONS[0])}
    assert left & set(names.values()) == {names["served"], names["theirs"]}
    assert f"{CONFIGURATIONS[0]} {names['gone']} is deleted: no pod of gone runs" in progress.notes


def test_conversion_that_nothing_serves_is_turned_off(world: World) -> None:
    """Otherwise its objects can neither be listed nor deleted."""
    api_version = install(world)
    make(world.kube, api_version, "iris", world.ours)
    client = {"service": {"name": "gone", "namespace": world.ours}}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    name = f"models.{world.ours}.test"
    conversion = {"strategy": "Webhook", "webhook": webhook}
    world.kube.patch(*DEFINITIONS, name, body={"spec": {"conversion": conversion}})
    step, progress = SilenceWebhooks(world.context), RecordingProgress()
    step.run(progress)
    assert progress.notes == [f"conversion of {name} is off: no pod of gone runs"]
    found = world.kube.get(*DEFINITIONS, name)
    assert found and found["spec"]["conversion"] == {"strategy": "None"}
