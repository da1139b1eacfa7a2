"""Custom resources that a component has for each project, such as its queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.base.digest import short_digest
from mlops_platform.base.humanize import plural
from mlops_platform.base.labels import COMPONENT_LABEL, OWNED, PROJECT_LABEL
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.custom_objects import objects_of
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.projects import cluster
from mlops_platform.steps.projects.keep import LAYER
from mlops_platform.steps.projects.model import Project, read_project
from mlops_platform.steps.projects.remove import wait_gone
from mlops_platform.steps.projects.workloads import named
from mlops_platform.steps.release.objects import DIGEST, Changes, changes, there, written
from mlops_platform.steps.release.values import image_variables


def components_with_objects(context: Context) -> list[ResolvedComponent]:
    """The chosen components that have custom resources for each project."""
    return [
        each
        for each in (*context.resolved.values(), *context.present.values())
        if each.component.projects and each.component.projects.objects
    ]


def wanted(resolved: ResolvedComponent, project: Project, uid: str) -> list[Object]:
    """The objects of one project, whose namespace has this uid.

    The namespace owns those that are in none: Kubernetes deletes them after it, also if a run is killed.
    """
    known = {**resolved.variables, **image_variables(resolved), **project.variables}
    labels = {**OWNED, ENVIRONMENT_LABEL: resolved.environment}
    labels |= {COMPONENT_LABEL: resolved.name, PROJECT_LABEL: project.name}
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": project.name, "uid": uid}
    found = []
    for each in objects_of(resolved.folder, resolved.component, "projects"):
        filled = substitute(each, known)
        meta: dict[str, Any] = {**filled["metadata"]}
        meta["labels"] = {**(meta.get("labels") or {}), **labels}
        meta["annotations"] = {**(meta.get("annotations") or {}), DIGEST: short_digest(filled)}
        if "namespace" not in meta:
            meta["ownerReferences"] = [owner]
        found.append({**filled, "metadata": meta})
    return found


def make_objects(kube: Kube, resolved: ResolvedComponent, project: Project) -> None:
    """Apply the objects of one project, whose namespace exists; most components have none."""
    if not (resolved.component.projects and resolved.component.projects.objects):
        return
    namespace = kube.get("v1", "Namespace", project.name)
    assert namespace, "its namespace is made before"
    written(kube, resolved, wanted(resolved, project, namespace["metadata"]["uid"]))


@dataclass(frozen=True)
class ApplyProjectObjects:
    """Apply a component's objects of projects whose contents differ, and delete those it no longer has."""

    context: Context
    resolved: ResolvedComponent
    layer: str = LAYER

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/project-objects"

    def observe(self) -> Difference | None:
        found = self._changes(self.context.clients.kube)
        if not found.any:
            return None
        every = [*found.missing, *found.different, *found.dropped]
        names = {each["metadata"]["labels"][PROJECT_LABEL] for each in every}
        return Difference(f"change {plural(len(every), 'object')} of {plural(len(names), 'project')}")

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        found = self._changes(kube)
        written(kube, self.resolved, (*found.missing, *found.different), progress.say)
        for each in found.dropped:
            meta = each["metadata"]
            kube.delete(each["apiVersion"], each["kind"], meta["name"], meta.get("namespace", ""))

    def _changes(self, kube: Kube) -> Changes:
        """Compare with the cluster: one request for the namespaces, and one for each kind if there are any.

        Objects of other projects are left out: of smoke tests, and of projects that are being removed.
        """
        spaces = {each["metadata"]["name"]: each for each in cluster.namespaces(self.context, kube)}
        projects = [read_project(each, name) for name, each in spaces.items()]
        lasting = {each.name: each for each in projects if not each.removing}
        objects = [
            each
            for name, project in lasting.items()
            for each in wanted(self.resolved, project, spaces[name]["metadata"]["uid"])
        ]
        labels = f"{COMPONENT_LABEL}={self.resolved.name},{PROJECT_LABEL}"
        found = changes(kube, objects, labels)
        dropped = [each for each in found.dropped if each["metadata"]["labels"][PROJECT_LABEL] in lasting]
        return Changes(found.missing, found.different, tuple(dropped))


@dataclass(frozen=True)
class RemoveProjectObjects:
    """Delete a component's objects of one project, and wait until they are gone."""

    context: Context
    resolved: ResolvedComponent
    name: str
    layer: str = LAYER

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/project-objects"

    def observe(self) -> Difference | None:
        found = self._left(self.context.clients.kube)
        return Difference(f"delete {named(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for each in self._left(kube):
            meta = each["metadata"]
            kube.delete(each["apiVersion"], each["kind"], meta["name"], meta.get("namespace", ""))
        wait_gone(self.context, kube, self.name, self._left, progress)

    def _left(self, kube: Kube) -> list[Object]:
        labels = f"{COMPONENT_LABEL}={self.resolved.name},{PROJECT_LABEL}={self.name}"
        kinds = objects_of(self.resolved.folder, self.resolved.component, "projects")
        return there(kube, kinds, labels)
