"""A project: its name, members and quota, as its namespace records them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from typing import Any, Literal, get_args

from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import PROJECT_LABEL
from mlops_platform.base.quantities import to_bytes, to_cores

Role = Literal["view", "edit"]
ROLES: tuple[Role, ...] = get_args(Role)
MEMBERS, QUOTA = "mlops-platform/members", "mlops-platform/quota"  # annotations of the namespace
QUOTA_NAME = "project"  # of the ResourceQuota
REMOVING = "mlops-platform/removing"  # set before anything is removed: `up` must not bring it back


@dataclass(frozen=True, order=True)
class Member:
    """A group or user of the environment's sign-in, and its role."""

    kind: Literal["group", "user"]
    name: str
    role: Role

    def __str__(self) -> str:
        return f"{'user/' if self.kind == 'user' else ''}{self.name}:{self.role}"


@dataclass(frozen=True)
class Quota:
    """The limits of a project, as quantities of Kubernetes in their canonical form."""

    cpu: str = "4"
    memory: str = "8Gi"
    gpu: str = "0"
    storage: str = "50Gi"
    pods: str = "50"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Quota:
        """Read quantities that were checked."""
        cpu, memory, storage = (given.get(key, getattr(cls, key)) for key in ("cpu", "memory", "storage"))
        return cls(
            cores(cpu),
            amount(memory),
            str(int(given.get("gpu", cls.gpu))),
            amount(storage),
            str(int(given.get("pods", cls.pods))),
        )

    def with_(self, given: Mapping[str, str]) -> Quota:
        """The quota with the given keys changed."""
        return self.of({**asdict(self), **given})

    def __str__(self) -> str:
        gpu = f", {self.gpu} GPU" if self.gpu != "0" else ""
        return f"{self.cpu} CPU, {_spoken(self.memory)}{gpu}"


@dataclass(frozen=True)
class Project:
    """A project. `removing`: its removal has started; `since`: the creation of its namespace, with these
    `annotations`."""

    name: str
    members: tuple[Member, ...] = ()
    quota: Quota = Quota()
    removing: bool = False
    since: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def entry(self) -> dict[str, Any]:
        """The project in /files/projects.json."""
        return {"name": self.name, "members": [asdict(member) for member in self.members]}

    @property
    def record(self) -> dict[str, str]:
        """The annotations that record members and quota."""
        members = [asdict(member) for member in self.members]
        return {MEMBERS: json.dumps(members), QUOTA: json.dumps(asdict(self.quota))}

    @property
    def variables(self) -> dict[str, str]:
        """The template variables of objects that components have for each project."""
        return {"project": self.name, **{f"quota_{key}": value for key, value in asdict(self.quota).items()}}

    def changed(self, members: tuple[Member, ...] | None, quota: Mapping[str, str]) -> Project:
        """The project with the given members, if any, and the given keys of the quota."""
        return replace(
            self,
            members=self.members if members is None else tuple(sorted(members)),
            quota=self.quota.with_(quota),
        )


def read_project(namespace: Mapping[str, Any], name: str) -> Project:
    """Read the record. Raises StepError if another program has changed it."""
    meta = namespace["metadata"]
    annotations: dict[str, str] = meta.get("annotations") or {}
    try:
        members = tuple(Member(**each) for each in json.loads(annotations[MEMBERS]))
        quota = Quota.of(json.loads(annotations[QUOTA]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StepError(
            f"namespace {meta['name']}: the record of the project cannot be read",
            why=f"annotations {MEMBERS} and {QUOTA}: {type(error).__name__}: {error}",
            hint="write both annotations again, as a namespace of another project has them",
            command=f"kubectl get namespaces --selector {PROJECT_LABEL} --output yaml",
        ) from error
    going = "deletionTimestamp" in meta or REMOVING in annotations
    return Project(name, members, quota, going, meta.get("creationTimestamp", ""), annotations)


def cores(quantity: str) -> str:
    """CPU as the API server stores it: '2', '500m'."""
    millis = ceil(to_cores(quantity) * 1000 - 1e-6)
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def amount(quantity: str) -> str:
    """Bytes as the API server stores them: '8Gi', '8G'."""
    count = to_bytes(quantity)
    binary = _units(count, 1024, ("", "Ki", "Mi", "Gi", "Ti"))
    decimal = _units(count, 1000, ("", "k", "M", "G", "T"))
    return min(binary, decimal, key=len) if count else "0"


def _units(count: int, step: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if not count or count % step:
            return f"{count}{unit}"
        count //= step
    return f"{count}{units[-1]}"


def _spoken(quantity: str) -> str:
    number = quantity.rstrip("kKMGTi")
    unit = quantity.removeprefix(number)
    return f"{number} {unit}B"
