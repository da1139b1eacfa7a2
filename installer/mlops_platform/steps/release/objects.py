"""Custom resources that a component applies when its release is ready, such as runtimes and queues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError, webhooks
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import COMPONENT_LABEL, OWNED, PROJECT_LABEL
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.custom_objects import objects_of
from mlops_platform.engine.graph import Difference
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.release.values import image_variables

DIGEST = "mlops-platform/digest"  # annotation: the digest of the object as it was applied
Object = dict[str, Any]


@dataclass(frozen=True)
class ApplyObjects(ComponentStep):
    """Apply the objects whose contents differ, and delete those that the files no longer have."""

    act = "objects"

    def observe(self) -> Difference | None:
        changes = compare(self.context.clients.kube, self.resolved)
        return changes.difference if changes.any else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        changes = compare(kube, self.resolved)
        written(kube, self.resolved, (*changes.missing, *changes.different), progress.say)
        for each in changes.dropped:
            meta = each["metadata"]
            kube.delete(each["apiVersion"], each["kind"], meta["name"], meta.get("namespace", ""))
            progress.note(f"{_title(each)}: deleted, the component no longer has it")


def written(
    kube: Kube,
    resolved: ResolvedComponent,
    objects: Sequence[Object],
    say: Callable[[str], None] | None = None,
) -> None:
    """Apply objects of a component, whose webhooks may not be reached yet."""
    webhooks.written(
        lambda: kube.apply(*objects),
        f"objects of {resolved.name}",
        say=say,
        hint=f"look at the pods of {resolved.name}, then run `mlops-platform up` again",
        command=kube.kubectl("--namespace", resolved.namespace, "get", "pods,endpointslices"),
    )


@dataclass(frozen=True)
class Changes:
    """Objects that the cluster does not have, has with other contents, or has for no reason."""

    missing: tuple[Object, ...]
    different: tuple[Object, ...]
    dropped: tuple[Object, ...]

    @property
    def any(self) -> bool:
        return bool(self.missing or self.different or self.dropped)

    @property
    def difference(self) -> Difference:
        words = {"apply": self.missing, "apply again": self.different, "delete": self.dropped}
        parts = [f"{act} {', '.join(_title(o) for o in found)}" for act, found in words.items() if found]
        return Difference("; ".join(parts))


def wanted(resolved: ResolvedComponent) -> list[Object]:
    """The objects with our labels, and with the digest of their contents."""
    known = {**resolved.variables, **image_variables(resolved)}
    return [
        _marked(substitute(each, known), resolved) for each in objects_of(resolved.folder, resolved.component)
    ]


def _marked(each: Object, resolved: ResolvedComponent) -> Object:
    meta = each["metadata"]
    labels = {**(meta.get("labels") or {}), **OWNED}
    labels |= {ENVIRONMENT_LABEL: resolved.environment, COMPONENT_LABEL: resolved.name}
    notes = {**(meta.get("annotations") or {}), DIGEST: short_digest(each)}
    return {**each, "metadata": {**meta, "labels": labels, "annotations": notes}}


def compare(kube: Kube, resolved: ResolvedComponent) -> Changes:
    """Compare with the cluster: one request for each kind."""
    labels = f"{COMPONENT_LABEL}={resolved.name},!{PROJECT_LABEL}"
    return changes(kube, wanted(resolved), labels, resolved.namespace)


def changes(kube: Kube, objects: Sequence[Object], labels: str, namespace: str = "") -> Changes:
    """Compare objects with all of their kinds that have the labels. `namespace` is of objects without one."""

    def key(each: Object) -> tuple[str, str, str]:
        meta = each["metadata"]
        return each["kind"], meta.get("namespace", namespace), meta["name"]

    live = {key(each): each for each in there(kube, objects, labels)}
    keys = {key(each) for each in objects}
    found = [(each, live.get(key(each))) for each in objects]
    return Changes(
        missing=tuple(each for each, it in found if it is None),
        different=tuple(each for each, it in found if it is not None and not holds(it, each)),
        dropped=tuple(each for own, each in live.items() if own not in keys),
    )


def there(kube: Kube, objects: Iterable[Object], labels: str) -> list[Object]:
    """All objects of the same kinds with these labels; none of a kind that is not served."""
    kinds = dict.fromkeys((each["apiVersion"], each["kind"]) for each in objects)
    found: list[Object] = []
    for api_version, kind in kinds:
        try:
            found += kube.list(api_version, kind, labels=labels)
        except KubeError as error:
            if error.status != 404:
                raise
    return found


def holds(live: Any, each: Any) -> bool:
    """Return whether an object of the cluster has everything that was applied, with the same values.

    Defaults and status that others add are no difference, and no field that someone else added beside ours
    is one. A key that a newer file no longer has changes the digest.
    """
    if isinstance(each, Mapping):
        return isinstance(live, Mapping) and all(k in live and holds(live[k], v) for k, v in each.items())
    if isinstance(each, list):
        same = isinstance(live, list) and len(live) == len(each)
        return same and all(holds(there, here) for there, here in zip(live, each, strict=True))
    return bool(live == each)


def _title(each: Object) -> str:
    return f"{each['kind']} {each['metadata']['name']}"
