"""Owns the catalogue: one folder a component, its edges checked, all problems of all files in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.yaml import Document, check, load
from mlops_platform.catalogue.checks import (
    CAPABILITIES,
    NOT_COMPONENTS,
    dangling,
    edge_problems,
    missing_files,
)
from mlops_platform.catalogue.component import (
    LAYERS,
    Component,
    Cpu,
    JobSpec,
    Memory,
    Name,
    Outside,
    Pinned,
    Script,
    SecretNeed,
    SmokeSpec,
)

__all__ = [
    "CAPABILITIES",
    "IDENTITY",
    "LAYERS",
    "SECRET_STORE",
    "SIGN_ON",
    "Catalog",
    "Component",
    "Cpu",
    "Entry",
    "Flow",
    "JobSpec",
    "Memory",
    "Name",
    "Pinned",
    "Script",
    "SecretNeed",
    "SmokeSpec",
    "read_catalog",
    "read_catalog_leniently",
    "values_file",
]

# Whoever keeps the secrets is there before anybody for whom one is made.
SECRET_STORE = "secret-store"  # noqa: S105
# The OIDC issuer, and whoever signs people in there; an environment may name an issuer of its own.
IDENTITY, SIGN_ON = "identity", "sign-on"


@dataclass(frozen=True)
class Entry:
    """A component and the folder it came from."""

    component: Component
    folder: Path
    document: Document


@dataclass(frozen=True, order=True)
class Flow:
    """One thing the network lets through: any pod of `source` to this port of any pod of `target`."""

    source: str
    target: str
    port: int


@dataclass(frozen=True)
class Catalog:
    """All components by name, and which of them provides a capability."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Component:
        return self.entries[name].component

    def folder(self, name: str) -> Path:
        return self.entries[name].folder

    def with_egress(self, more: Mapping[str, Iterable[Outside]]) -> Catalog:
        """The same, with what an environment lets components reach outside besides their own."""
        entries = dict(self.entries)
        for name, given in more.items():
            component = self[name]
            update = {"egress": [*component.egress, *given]}
            entries[name] = replace(entries[name], component=component.model_copy(update=update))
        return replace(self, entries=entries)

    def providers(self, wanted: str) -> list[str]:
        """Names that satisfy one `requires` word: the component itself, or whoever provides it."""
        if wanted in self.entries:
            return [wanted]
        return [name for name, entry in self.entries.items() if wanted in entry.component.provides]

    def edges(self, name: str, chosen: Iterable[str]) -> tuple[str, ...]:
        """The chosen components this one stands on, in catalogue order: the order of installation.

        Besides what it requires: the secret store, if something is made for it, and what it routes to.
        """
        pool, component = set(chosen), self[name]
        found = self._resolved(component.requires, pool)
        if component.needs.anything:
            found |= self._resolved([SECRET_STORE], pool)
        if component.ingress:
            found |= {n for n in pool if any(s.ui for s in self[n].serves.values())}
        return tuple(n for n in self.entries if n in found - {name})

    def flows(self, chosen: Iterable[str]) -> frozenset[Flow]:
        """Everything the chosen components may say to each other; what is not here is refused.

        A component reaches every served port of what it requires or reaches, the `ui` ports of what it
        routes to, and its own ports.
        """
        pool, found = set(chosen), set[Flow]()
        for name in pool:
            component = self[name]
            for target in {name, *self._resolved([*component.requires, *component.optional], pool)}:
                found |= {Flow(name, target, s.port) for s in self[target].serves.values()}
            if component.ingress:
                found |= {Flow(name, t, s.port) for t in pool for s in self[t].serves.values() if s.ui}
        return frozenset(found)

    def _resolved(self, wanted: Iterable[str], pool: set[str]) -> set[str]:
        return {p for word in wanted for p in self.providers(word) if p in pool}


def read_catalog(folder: Path) -> Catalog:
    """Read every component folder. Raises ConfigurationError with all problems of all files."""
    catalog, problems = read_catalog_leniently(folder)
    if problems:
        raise ConfigurationError(problems)
    return catalog


def read_catalog_leniently(folder: Path) -> tuple[Catalog, tuple[Problem, ...]]:
    """The readable part of the catalogue and every problem, for callers that report several files at once."""
    problems: list[Problem] = []
    entries: dict[str, Entry] = {}
    for path in sorted(folder.glob("*/component.yaml")):
        document = load(path, f"{folder.name}/{path.parent.name}/component.yaml")
        component, found = check(document, Component)
        problems.extend(found)
        if not component:
            continue
        if component.name in entries:
            first = entries[component.name].document.file
            problems.append(
                document.problem(("name",), f"{component.name}: duplicate name", f"also in {first}")
            )
            continue
        if component.name != path.parent.name:
            problems.append(document.problem(("name",), "name differs from its folder", path.parent.name))
        if component.name in NOT_COMPONENTS:
            problems.append(
                document.problem(("name",), f"{component.name}: a name of our own", "take another")
            )
        problems.extend(missing_files(document, component, path.parent))
        problems.extend(dangling(document, component))
        entries[component.name] = Entry(component, path.parent, document)
    catalog = Catalog(entries)
    if not any(p.file.endswith("component.yaml") and "requires" in p.what for p in problems):
        problems.extend(edge_problems(catalog, complete=not problems))
    return catalog, tuple(problems)


def values_file(path: Path) -> Any:
    """The parsed values of a component, not to be changed. Raises ConfigurationError when it is not YAML."""
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _changed: int) -> Any:
    """Once a run: a run that changes nothing compares every release several times."""
    document = load(path, f"{path.parent.name}/{path.name}")
    if document.problems:
        raise ConfigurationError(document.problems)
    return document.data
