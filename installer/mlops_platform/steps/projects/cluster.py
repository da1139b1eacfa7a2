"""Projects in the cluster: found by the label of their namespaces, compared with what they should have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL, PASSING
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import PROJECT_LABEL
from mlops_platform.run.context import Context
from mlops_platform.steps.projects.model import QUOTA_NAME, Project, read_project
from mlops_platform.steps.projects.objects import (
    KINDS,
    content,
    objects_of,
)
from mlops_platform.steps.projects.rights import CLUSTER_KINDS, Manifest

_READY_SECONDS = 30.0
Key = tuple[str, str, str]  # project, kind, name


def namespaces(context: Context, kube: Kube) -> list[Object]:
    """The namespaces of this environment's projects, without those of smoke tests. One request."""
    labels = f"{PROJECT_LABEL},!{PASSING},{ENVIRONMENT_LABEL}={context.environment.name}"
    return kube.metadata("v1", "Namespace", labels=labels)


def projects(context: Context, kube: Kube) -> list[Project]:
    """Every project of this environment, by name."""
    found = namespaces(context, kube)
    return sorted(
        (read_project(each, each["metadata"]["name"]) for each in found), key=lambda each: each.name
    )


def find(context: Context, kube: Kube, name: str) -> Project | None:
    """The project of this name. Raises UsageError if a namespace of another purpose has the name."""
    namespace = kube.get("v1", "Namespace", name)
    if namespace is None:
        return None
    labels = namespace["metadata"].get("labels") or {}
    if PROJECT_LABEL not in labels or PASSING in labels:
        raise UsageError(
            f"namespace {name} exists and is no project",
            why=f"it has no label {PROJECT_LABEL}",
            hint="choose another name for the project",
            command=kube.kubectl("get", "namespace", name, "--show-labels"),
        )
    if labels.get(ENVIRONMENT_LABEL) != context.environment.name:
        raise UsageError(
            f"project {name} belongs to the environment {labels.get(ENVIRONMENT_LABEL, 'without a name')}",
            hint="choose another name, or name that environment with --env",
        )
    return read_project(namespace, name)


def differences(context: Context, kube: Kube, wanted: Iterable[Project]) -> dict[str, list[str]]:
    """What to do for each project, in a few words each; a project that is right is left out.

    One request for each kind, side by side, for any number of projects.
    """
    expected = {each.name: objects_of(context, each) for each in wanted}
    if not expected:
        return {}
    with ThreadPoolExecutor(len(KINDS) + 1) as pool:
        spaces = pool.submit(kube.metadata, "v1", "Namespace", labels=PROJECT_LABEL)
        lists = [pool.submit(kube.list, api, kind, labels=PROJECT_LABEL) for api, kind in KINDS]
        found = {_key(each): content(each) for part in lists for each in part.result()}
        known = {each["metadata"]["name"]: each for each in spaces.result()}
    result = {}
    for name, objects in expected.items():
        parts = _namespace(known.get(name), objects[0]) or _objects(name, objects[1:], found)
        if parts:
            result[name] = parts
    return result


def _namespace(found: Object | None, wanted: Manifest) -> list[str]:
    if found is None:
        return ["make its namespace"]
    meta, target = found["metadata"], wanted["metadata"]
    for part in ("labels", "annotations"):
        wrong = [key for key, value in target[part].items() if (meta.get(part) or {}).get(key) != value]
        if wrong:
            return [f"set {wrong[0]}"]
    return []


def _objects(name: str, objects: Sequence[Manifest], found: Mapping[Key, object]) -> list[str]:
    target = {_key(each): content(each) for each in objects}
    wrong = [key for key, value in target.items() if found.get(key) != value]
    extra = [key for key in found if key[0] == name and key not in target]
    return [f"apply {kind} {each}" for _, kind, each in wrong] + [
        f"remove {kind} {each}" for _, kind, each in extra
    ]


def _key(each: Mapping[str, object]) -> Key:
    meta = each["metadata"]
    assert isinstance(meta, Mapping)
    return meta["labels"][PROJECT_LABEL], str(each["kind"]), meta["name"]


def make(context: Context, kube: Kube, project: Project) -> None:
    """Apply the objects of a project, remove those of ours that it should not have, and wait for its quota.

    The namespace comes first, with the record in it: a run that was killed is completed by the next one.
    """
    objects = objects_of(context, project)
    apply(kube, objects)
    target = {_key(each) for each in objects[1:]}
    for api, kind in KINDS:
        for each in kube.list(api, kind, project.name, labels=f"{PROJECT_LABEL}={project.name}"):
            if _key(each) not in target:
                kube.delete(api, kind, each["metadata"]["name"], project.name)
    wait_for_quota(context, kube, project.name)


def apply(kube: Kube, objects: Sequence[Manifest]) -> None:
    """Apply all objects of a project, the namespace first.

    The namespace owns those that are in none: Kubernetes deletes them after it, also if a run is killed.
    """
    others = [each for each in objects if each["kind"] in CLUSTER_KINDS]
    kube.apply(*(each for each in objects if each["kind"] not in CLUSTER_KINDS))
    if others:
        owners = [owner_of(kube, objects[0]["metadata"]["name"])]
        kube.apply(*({**o, "metadata": {**o["metadata"], "ownerReferences": owners}} for o in others))


def owner_of(kube: Kube, namespace: str) -> Manifest:
    """The entry in `ownerReferences` of an object that ends with this namespace, which exists."""
    found = kube.get("v1", "Namespace", namespace)
    assert found, "it is made before"
    return {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": found["metadata"]["uid"]}


def wait_for_quota(context: Context, kube: Kube, namespace: str) -> None:
    """Wait until the quota has a status: before, the API server rejects every pod."""

    def counted() -> bool | Pending:
        found = kube.get("v1", "ResourceQuota", QUOTA_NAME, namespace) or {}
        return bool(found.get("status", {}).get("hard")) or Pending("the quota is not counted yet")

    wait_until(
        f"quota of {namespace}",
        counted,
        seconds=_READY_SECONDS,
        cancel=context.cancel,
        command=kube.kubectl("--namespace", namespace, "describe", "resourcequota"),
    )
