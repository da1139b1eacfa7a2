"""What runs in a project: custom resources, Jobs, and pods without an owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.run.context import Context

_ENDED_CONDITIONS = ("Complete", "Completed", "Failed", "Succeeded", "Finished")
_ENDED_PHASES = ("Succeeded", "Failed")
_ALWAYS = (("batch/v1", "CronJob"), ("batch/v1", "Job"), ("v1", "Pod"))


def workloads(context: Context, kube: Kube, namespace: str) -> list[Object]:
    """Everything that runs in the namespace and belongs to no other object, also what has ended.

    Besides Jobs and pods: all kinds that members may create according to the components' `projects.edit`.
    """
    kinds = [*_component_kinds(context, kube), *_ALWAYS]
    found = [each for api, kind in kinds for each in kube.list(api, kind, namespace)]
    return [each for each in found if not each["metadata"].get("ownerReferences")]


def running(found: Sequence[Object]) -> list[Object]:
    """Those that run and have not ended. A served model never ends; a CronJob without a Job runs nothing.

    Neither does a custom resource without a status, such as a runtime: it is a template.
    """
    return [each for each in found if _starts(each) and not _ended(each)]


def _starts(each: Mapping[str, Any]) -> bool:
    return each["kind"] in ("Job", "Pod") or (each["kind"] != "CronJob" and bool(each.get("status")))


def named(found: Sequence[Object]) -> str:
    """'Job train, Pod shell'"""
    return ", ".join(f"{each['kind']} {each['metadata']['name']}" for each in found)


def _component_kinds(context: Context, kube: Kube) -> Iterator[tuple[str, str]]:
    groups: dict[str, set[str]] = {}
    for each in (*context.resolved.values(), *context.present.values()):
        projects = each.component.projects
        for rule in projects.edit if projects else ():
            if "create" in rule.verbs:
                for group in rule.groups:
                    groups.setdefault(group, set()).update(rule.resources)
    for group, plurals in groups.items():
        for plural, served in kube.served(group).items():
            if plural in plurals:
                yield served.api_version, served.kind


def _ended(each: Mapping[str, Any]) -> bool:
    status = each.get("status") or {}
    conditions = status.get("conditions") or []
    done = any(c.get("type") in _ENDED_CONDITIONS and c.get("status") == "True" for c in conditions)
    return done or (each["kind"] == "Pod" and status.get("phase") in _ENDED_PHASES)
