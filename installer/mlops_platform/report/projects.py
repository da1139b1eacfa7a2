"""Projects as screens show them: members, use of the quota, what runs, what components hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlops_platform.base.labels import GPU, PROJECT_LABEL
from mlops_platform.run.context import Context
from mlops_platform.steps.projects import cluster
from mlops_platform.steps.projects.model import QUOTA_NAME, Project
from mlops_platform.steps.projects.rights import ACCOUNTS
from mlops_platform.steps.projects.workloads import running, workloads

READY, REMOVING = "ready", "removing"
_USED = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "gpu": f"requests.{GPU}",
    "storage": "requests.storage",
    "pods": "pods",
}


@dataclass(frozen=True)
class Row:
    """A project with what it uses of its quota; `used` is empty if the quota is not counted yet."""

    name: str
    state: str
    members: Sequence[str]
    quota: Mapping[str, str]
    used: Mapping[str, str]
    since: str

    def share(self, key: str) -> str:
        """'1/4'"""
        return f"{self.used.get(key, '?')}/{self.quota[key]}"


@dataclass(frozen=True)
class Details:
    """One project with its workloads, the ports it reaches, and what each component holds of it."""

    row: Row
    accounts: Sequence[str]
    reaches: Sequence[str]
    holds: Mapping[str, str]
    running: Sequence[str]
    simulated: str = ""

    @property
    def data(self) -> dict[str, Any]:
        rest = asdict(self)
        return {**rest.pop("row"), **rest}


def rows_of(context: Context) -> list[Row]:
    """All projects, in two requests."""
    kube = context.clients.kube
    found = cluster.projects(context, kube)
    quotas = kube.list("v1", "ResourceQuota", labels=PROJECT_LABEL) if found else []
    used = {
        each["metadata"]["namespace"]: each.get("status", {}).get("used") or {}
        for each in quotas
        if each["metadata"]["name"] == QUOTA_NAME
    }
    return [_row(project, used.get(project.name, {})) for project in found]


def details_of(context: Context, project: Project) -> Details:
    kube = context.clients.kube
    quota = kube.get("v1", "ResourceQuota", QUOTA_NAME, project.name) or {}
    return Details(
        row=_row(project, quota.get("status", {}).get("used") or {}),
        accounts=list(ACCOUNTS),
        reaches=reached(context),
        holds=holds(context),
        running=[
            f"{each['kind']} {each['metadata']['name']}"
            for each in running(workloads(context, kube, project.name))
        ],
        simulated=context.cluster.simulated,
    )


def reached(context: Context) -> list[str]:
    """The ports of components that projects reach: 'mlflow:5000'."""
    ports = context.catalog.project_ports(context.environment.installed)
    return [f"{name}:{port}" for name, numbers in ports.items() for port in numbers]


def holds(context: Context) -> dict[str, str]:
    """What the components have of a project, by component."""
    parts = {c.name: c.projects for c in context.components}
    return {name: part.holds for name, part in parts.items() if part and part.holds}


def _row(project: Project, used: Mapping[str, str]) -> Row:
    return Row(
        project.name,
        REMOVING if project.removing else READY,
        [str(member) for member in project.members],
        asdict(project.quota),
        {key: used[name] for key, name in _USED.items() if name in used},
        project.since,
    )
