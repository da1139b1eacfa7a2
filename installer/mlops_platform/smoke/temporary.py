"""A project that exists for one smoke test, and the rights of the test in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT, PASSING
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.scripts import SmokeSpec
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job
from mlops_platform.steps.projects import scripts
from mlops_platform.steps.projects.cluster import apply, owner_of, wait_for_quota
from mlops_platform.steps.projects.custom import make_objects
from mlops_platform.steps.projects.dags import Dags, example_of, read
from mlops_platform.steps.projects.model import ROLES, Member, Project
from mlops_platform.steps.projects.objects import objects_of
from mlops_platform.steps.projects.rights import RBAC

_API = f"{RBAC}/v1"
_MEMBERS = (Member("group", "data-scientists", "edit"), Member("group", "viewers", "view"))


@contextmanager
def temporary_project(
    context: Context, kube: Kube, resolved: ResolvedComponent, spec: SmokeSpec
) -> Iterator[str]:
    """A project for the duration of the block, if the test wants one; yields its name, else ''.

    The account of the component's Jobs may do there what `edit` may, and has the test's `rights` in the
    cluster. Components that the test requires make for the project what they make for all projects; so does
    the component itself for a test of DAGs or pipelines. All of it ends with the block. After a killed run,
    the next one deletes it.
    """
    if not spec.project:
        yield ""
        return
    purpose = f"smoke-{spec.name or resolved.name}"
    own = spec.dags or resolved.component.pipelines
    parts = [*_parts(context, spec), *([resolved] if own else [])]
    left = [o["metadata"] for o in kube.metadata("v1", "Namespace", labels=f"{PASSING}={purpose}")]
    remove(context, kube, parts, [each["name"] for each in left if "deletionTimestamp" not in each])
    name = f"{purpose}-{secrets.token_hex(3)}"
    try:
        apply(kube, objects_of(context, Project(name, _members(spec)), {PASSING: purpose}))
        kube.apply(*_rights(kube, name, resolved, spec))
        wait_for_quota(context, kube, name)
        for each in (resolved, *_required(context, spec)):
            make_objects(kube, each, Project(name))
        run_all(context, kube, [_sync_job(each, name) for each in parts])
        if spec.dags:
            Dags(context, resolved, name, lambda _: None).push(read(example_of(resolved)))
        yield name
    finally:
        for kind in ("ClusterRoleBinding", "ClusterRole") if spec.rights else ():
            kube.delete(_API, kind, name)
        remove(context, kube, parts, [name])


def _members(spec: SmokeSpec) -> tuple[Member, ...]:
    """The groups of the test's people that are members; administrators are none."""
    return _MEMBERS if spec.people else ()


def remove(context: Context, kube: Kube, parts: Sequence[ResolvedComponent], names: Sequence[str]) -> None:
    """Let components remove what is of the projects, then delete the namespaces, without waiting."""
    try:
        jobs = [scripts.remove_job(part, name, keep_data=False) for part in parts for name in names]
        run_all(context, kube, jobs)
    finally:
        for name in names:
            kube.delete("v1", "Namespace", name)


def run_all(context: Context, kube: Kube, jobs: Sequence[ScriptJob]) -> None:
    """Run Jobs side by side. Raises the first failure, when all have ended."""
    if not jobs:
        return
    run = partial(run_job, kube, progress=Silent(), cancel=context.cancel)
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(run, jobs))


def _required(context: Context, spec: SmokeSpec) -> list[ResolvedComponent]:
    """The components that a test requires."""
    names = {name for word in spec.requires for name in context.catalog.providers(word)}
    return [each for name, each in context.resolved.items() if name in names] if names else []


def _parts(context: Context, spec: SmokeSpec) -> list[ResolvedComponent]:
    """The required components that do something for each project."""
    return [
        each
        for each in _required(context, spec)
        if each.component.projects and each.component.projects.script
    ]


def _sync_job(part: ResolvedComponent, name: str) -> ScriptJob:
    """A Job of its own name: the one for all projects may run at the same time."""
    job = scripts.sync_job(part, [Project(name)])
    return replace(job, name=f"{job.name}-{short_digest(name)[:8]}")


def _rights(kube: Kube, name: str, resolved: ResolvedComponent, spec: SmokeSpec) -> Iterator[dict[str, Any]]:
    """Bindings of the account: to the project's roles, and to a role with the test's rights."""
    account = {"kind": "ServiceAccount", "name": JOBS_ACCOUNT, "namespace": resolved.namespace}

    def binding(kind: str, role_kind: str, role: str, meta: dict[str, Any]) -> dict[str, Any]:
        reference = {"apiGroup": RBAC, "kind": role_kind, "name": role}
        meta = {"labels": OWNED, **meta}
        return {
            "apiVersion": _API,
            "kind": kind,
            "metadata": meta,
            "roleRef": reference,
            "subjects": [account],
        }

    for role in ROLES:
        yield binding("RoleBinding", "Role", role, {"name": f"smoke-{role}", "namespace": name})
    if spec.rights:
        # Kubernetes deletes them with the namespace, also if this run is killed.
        meta = {"name": name, "labels": OWNED, "ownerReferences": [owner_of(kube, name)]}
        rules = [rule.manifest for rule in spec.rights]
        yield {"apiVersion": _API, "kind": "ClusterRole", "metadata": meta, "rules": rules}
        yield binding("ClusterRoleBinding", "ClusterRole", name, meta)
