"""Operators during `down`: their webhooks, finalizers of their objects, and the kinds that they define.

A stopped operator must not block `down`: its webhooks would refuse every deletion, and nothing would remove
the finalizers of its objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.kube.readiness import counts
from mlops_platform.adapters.kube.webhooks import ADMISSION, CONFIGURATIONS, REGISTRATION, served
from mlops_platform.base.labels import COMPONENT_LABEL
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.teardown.objects import namespaces_of, objects_of, title, wait_gone

DEFINITIONS = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
# Finalizers of Kubernetes itself, which its garbage collector removes.
_KUBERNETES = frozenset({"foregroundDeletion", "orphan"})


def own_definitions(context: Context) -> list[Object]:
    """The CustomResourceDefinitions that this environment installed."""
    labels = f"{ENVIRONMENT_LABEL}={context.environment.name},{COMPONENT_LABEL}"
    return context.clients.kube.list(*DEFINITIONS, labels=labels)


@dataclass(frozen=True)
class SilenceWebhooks(EnvironmentStep):
    """Delete webhooks and APIServices of our namespaces that no pod serves, and end such conversions."""

    path = "drain/webhooks"
    layer = "drain"

    def observe(self) -> Difference | None:
        found = self._found()
        return Difference(f"delete {len(found)} webhooks that nothing serves") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for each in self._found():
            name = each["metadata"]["name"]
            if each["kind"] == DEFINITIONS[1]:
                _end_conversion(kube, each)
                progress.note(f"conversion of {name} is off: no pod of {_services(each)[0][1]} runs")
            else:
                kube.delete(each["apiVersion"], each["kind"], name)
                progress.note(f"{title(each)} is deleted: no pod of {_services(each)[0][1]} runs")

    def _found(self) -> list[Object]:
        """Configurations with a Service of ours that has no ready endpoint."""
        kube = self.context.clients.kube
        found = [each for kind in CONFIGURATIONS for each in kube.list(ADMISSION, kind)]
        found += [each for each in kube.list(REGISTRATION, "APIService") if each["spec"].get("service")]
        found += [each for each in own_definitions(self.context) if _services(each)]
        spaces = namespaces_of(self.context) if found else set[str]()
        known: dict[tuple[str, str], bool] = {}
        return [
            each
            for each in found
            for service in _services(each)[:1]
            if service[0] in spaces and not _served(kube, service, known)
        ]


def _services(each: Object) -> list[tuple[str, str]]:
    """Namespace and name of the Services that the API server calls for an object."""
    spec: dict[str, Any] = each.get("spec") or {}
    clients = [hook["clientConfig"] for hook in each.get("webhooks") or []]
    clients += [spec] if each["kind"] == "APIService" else []
    webhook = (spec.get("conversion") or {}).get("webhook") or {}
    clients += [webhook["clientConfig"]] if webhook else []
    services = [client["service"] for client in clients if client.get("service")]
    return [(service["namespace"], service["name"]) for service in services]


def _served(kube: Kube, service: tuple[str, str], known: dict[tuple[str, str], bool]) -> bool:
    if service not in known:
        known[service] = served(kube, *service)
    return known[service]


def _end_conversion(kube: Kube, definition: Object) -> None:
    """Stop conversions between versions: without the webhook, objects cannot even be listed."""
    none = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
    kube.patch(*DEFINITIONS, definition["metadata"]["name"], body=none)


def finalizer_remover(context: Context, kube: Kube, progress: Progress) -> Callable[[list[Object]], None]:
    """A function that removes finalizers of objects whose operator does not run; it notes each."""
    owners = {
        (d["spec"]["group"], d["spec"]["names"]["kind"]): d["metadata"]["labels"][COMPONENT_LABEL]
        for d in own_definitions(context)
    }
    spaces = {name: namespace for namespace, name in context.helm.installed()}

    def remove(left: list[Object]) -> None:
        gone: dict[str, bool] = {}
        for each in left:
            operator = owners.get((each["apiVersion"].partition("/")[0], each["kind"]), "")
            if not operator or "deletionTimestamp" not in each["metadata"]:
                continue
            if operator not in gone:
                gone[operator] = not _runs(kube, spaces.get(operator, ""), operator)
            if gone[operator]:
                remove_finalizers(kube, each, operator, progress)

    return remove


def _runs(kube: Kube, namespace: str, operator: str) -> bool:
    return bool(namespace) and counts(kube, namespace, operator)[0] > 0


def remove_finalizers(kube: Kube, each: Object, operator: str, progress: Progress) -> None:
    """Remove the finalizers that only a controller removes. The object may be gone by now."""
    meta = each["metadata"]
    there = meta.get("finalizers") or []
    kept = [name for name in there if name in _KUBERNETES]
    if len(kept) == len(there):
        return
    body = {"metadata": {"finalizers": kept or None}}
    try:
        kube.patch(each["apiVersion"], each["kind"], meta["name"], meta.get("namespace", ""), body=body)
    except KubeError as error:
        if error.status != 404:
            raise
        return
    removed = ", ".join(name for name in there if name not in _KUBERNETES)
    progress.note(f"{title(each)}: finalizer {removed} is removed: {operator} does not run")


@dataclass(frozen=True)
class DeleteDefinitions(EnvironmentStep):
    """Delete the kinds of our operators after the operators, with the objects that are left of them."""

    path = "drain/definitions"
    layer = "drain"

    def observe(self) -> Difference | None:
        found = own_definitions(self.context)
        return Difference(f"delete {len(found)} CustomResourceDefinitions") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        found = own_definitions(self.context)
        for each in found:
            if _services(each):
                _end_conversion(kube, each)
            for left in objects_of(kube, each):
                remove_finalizers(kube, left, each["metadata"]["labels"][COMPONENT_LABEL], progress)
            kube.delete(*DEFINITIONS, each["metadata"]["name"])

        wait_gone(
            self.context,
            lambda: [each["metadata"]["name"] for each in own_definitions(self.context)],
            "kinds",
            progress,
            hint="look for objects of the kind with a finalizer, and run down again",
            command="kubectl get crd --selector " + COMPONENT_LABEL,
        )
