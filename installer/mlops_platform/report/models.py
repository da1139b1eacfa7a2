"""Served models as screens show them: version, pods, state, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlops_platform.adapters.kube.inference import (
    Parts,
    canaries_of,
    model_of,
    parts_of,
    serving,
    uri_of,
    version_of,
)
from mlops_platform.environment.uis import MODELS_HOST
from mlops_platform.run.project import ProjectContext


@dataclass(frozen=True)
class Row:
    """A served model. `serves` counts ready pods by version; `canary` has the share of each version in %."""

    name: str
    model: str
    version: str
    state: str
    ready: int
    wanted: int
    serves: Mapping[str, int]
    reason: str
    since: str
    address: str
    inside: str
    canary: Mapping[str, int] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def pods(self) -> str:
        """'1/2'"""
        return f"{self.ready}/{self.wanted}"


def rows_of(context: ProjectContext, project: str, name: str = "") -> list[Row]:
    """The served models of a project, or one of them."""
    parts = parts_of(context.clients.kube, project, name)
    now = datetime.now(UTC)
    found = [_row(context, project, each, parts, now) for each in parts.services]
    return sorted(found, key=lambda row: row.name)


def address_of(context: ProjectContext, project: str, name: str) -> str:
    """The address outside of the cluster; '' if no chosen component has this host."""
    environment = context.environment
    hosts = {served.host for each in context.components for served in each.serves.values()}
    return f"https://{MODELS_HOST}.{environment.site}/{project}/{name}" if MODELS_HOST in hosts else ""


def inside_of(project: str, name: str) -> str:
    """The address for pods of the project."""
    return f"http://{name}-predictor.{project}.svc"


def _row(context: ProjectContext, project: str, each: Mapping[str, Any], parts: Parts, now: datetime) -> Row:
    meta, found = each["metadata"], serving(each, parts, now)
    uri = uri_of(each)
    return Row(
        meta["name"],
        model_of(each) or uri,
        version_of(meta) or "-",
        found.state,
        found.ready,
        found.wanted,
        found.versions,
        found.reason,
        meta["creationTimestamp"],
        address_of(context, project, meta["name"]),
        inside_of(project, meta["name"]),
        canaries_of(each),
    )
