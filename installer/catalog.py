"""Owns the catalogue: one folder a component, its edges checked, all problems of all files in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from installer.component import (
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
from installer.errors import ConfigurationError, Problem
from installer.smoke.result import CANARY, MATRIX
from installer.yamlfile import Document, check, load

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

# What `needs` may ask for of somebody else, and the capability of whoever makes it.
CAPABILITIES = {"database": "sql", "bucket": "object-store"}
# Whoever keeps the secrets is there before anybody for whom one is made.
SECRET_STORE = "secret-store"  # noqa: S105
# The OIDC issuer, and whoever signs people in there; an environment may name an issuer of its own.
IDENTITY, SIGN_ON = "identity", "sign-on"

# Proofs beside those of components, and namespaces that hold more than one thing.
_NOT_COMPONENTS = frozenset({MATRIX, CANARY, "default", "mlops-platform"})


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
        if component.routes:
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
            for target in {name, *self._resolved([*component.requires, *component.reaches], pool)}:
                found |= {Flow(name, target, s.port) for s in self[target].serves.values()}
            if component.routes:
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
        if component.name in _NOT_COMPONENTS:
            problems.append(
                document.problem(("name",), f"{component.name}: a name of our own", "take another")
            )
        problems.extend(_missing_files(document, component, path.parent))
        problems.extend(_dangling(document, component))
        entries[component.name] = Entry(component, path.parent, document)
    catalog = Catalog(entries)
    if not any(p.file.endswith("component.yaml") and "requires" in p.what for p in problems):
        problems.extend(_edge_problems(catalog, complete=not problems))
    return catalog, tuple(problems)


def _missing_files(document: Document, component: Component, folder: Path) -> Iterable[Problem]:
    """Every file component.yaml names must lie in the folder."""
    named: list[tuple[tuple[str | int, ...], str]] = []
    named += [(("provides", n, "script"), p.script) for n, p in component.provides.items() if p.script]
    named += [(("provides", n, "login"), p.login) for n, p in component.provides.items() if p.login]
    named += [
        (("smoke", i, "files", k), f) for i, s in enumerate(component.smoke) for k, f in enumerate(s.files)
    ]
    named += [(("jobs", i, "script"), j.script) for i, j in enumerate(component.jobs)]
    named += [(("smoke", i, "script"), s.script) for i, s in enumerate(component.smoke)]
    named += [
        (("needs", "secrets", n, "rotate"), s.rotate) for n, s in component.needs.secrets.items() if s.rotate
    ]
    named += [(("bundles",), component.bundles)] if component.bundles else []
    named += [(("serves", n, "farewell"), s.farewell) for n, s in component.serves.items() if s.farewell]
    if component.needs.client:
        named.append((("needs", "client", "template"), component.needs.client.template))
    if component.embedded:
        named.append((("embedded", "values"), component.embedded.values))
        named += [(("embedded", "files", i), file) for i, file in enumerate(component.embedded.files)]
    for place, file in named:
        if not (folder / file).is_file():
            yield document.problem(
                place, f"{file}: no such file", f"expected beside component.yaml in {folder.name}/"
            )


def _dangling(document: Document, component: Component) -> Iterable[Problem]:
    """Words in one component.yaml that must lead to another of its keys."""
    made = [*component.needs.secrets]
    made += [kind for kind in (*CAPABILITIES, "client", "certificate") if getattr(component.needs, kind)]
    known = f"known: {', '.join(made)}" if made else "it needs none"
    for name, provided in component.provides.items():
        if provided.port not in component.serves:
            place = ("provides", name, "port")
            yield document.problem(place, f"{provided.port} is not served", "a key of serves")
        if provided.admin and provided.admin not in component.needs.secrets:
            place = ("provides", name, "admin")
            yield document.problem(place, f"no secret {provided.admin}", "a key of needs.secrets")
        if name in CAPABILITIES.values() and not provided.script:
            yield document.problem(
                ("provides", name), f"{name} without a script", "others need accounts at it"
            )
    for name, served in component.serves.items():
        if served.proof and served.proof not in component.needs.secrets:
            what = f"no secret {served.proof}"
            yield document.problem(("serves", name, "proof"), what, "a key of needs.secrets")
        if bool(served.paths) != served.public:
            what = "public and paths go together"
            yield document.problem(("serves", name), what, "say what is open to everybody")
    if component.routes and not component.serves:
        yield document.problem(("routes",), "routes, but serves nothing", "the port people come in at")
    for key, scripts in (("jobs", component.jobs), ("smoke", component.smoke)):
        for i, script in enumerate(scripts):
            for j, secret in enumerate(script.secrets):
                if secret not in made:
                    yield document.problem((key, i, "secrets", j), f"no secret {secret}", known)


def _edge_problems(catalog: Catalog, *, complete: bool) -> list[Problem]:
    """Unknown requirements (only sure when every file could be read), shared accounts, cycles."""
    problems: list[Problem] = []
    owners: dict[tuple[str, str], str] = {}
    for name, entry in catalog.entries.items():
        words = [(("requires", i), w) for i, w in enumerate(entry.component.requires)]
        words += [(("reaches", i), w) for i, w in enumerate(entry.component.reaches)]
        for place, wanted in words:
            if complete and not catalog.providers(wanted):
                problems.append(
                    entry.document.problem(
                        place,
                        f"{name} {place[0]} {wanted}, which nothing provides",
                        "a component's name or a capability some component provides",
                    )
                )
        namespace = entry.component.namespace
        if namespace in _NOT_COMPONENTS or namespace.startswith("kube-"):
            what = f"namespace {namespace} is not a component's"
            problems.append(entry.document.problem(("namespace",), what, "others run there"))
        if owners.setdefault(("namespace", namespace), name) != name:
            what = f"namespace {namespace} belongs to {owners['namespace', namespace]} already"
            problems.append(entry.document.problem(("namespace",), what, "it is the network's identity"))
        for need, capability in CAPABILITIES.items():
            value = getattr(entry.component.needs, need)
            if value and capability not in entry.component.requires:
                problems.append(
                    entry.document.problem(
                        ("needs", need),
                        f"{name} needs a {need} but does not require {capability}",
                        f"add {capability} to requires",
                    )
                )
            if value and owners.setdefault((need, value), name) != name:
                what = f"{need} {value} belongs to {owners[need, value]} already"
                problems.append(entry.document.problem(("needs", need), what, "take another name"))
    for trail in _cycles(catalog):
        entry = catalog.entries[trail[0]]
        problems.append(
            entry.document.problem(("requires",), "cycle: " + " → ".join(trail), "remove one edge")
        )
    return problems


def _cycles(catalog: Catalog) -> list[tuple[str, ...]]:
    """Each cycle once, starting at its first component by name."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            loop = trail[trail.index(name) :]
            first = loop.index(min(loop))
            found.setdefault(frozenset(loop), (*loop[first:], *loop[: first + 1]))
            return
        if name in finished:
            return
        for needed in catalog.edges(name, catalog.entries):
            visit(needed, (*trail, name))
        finished.add(name)

    for name in catalog.entries:
        visit(name, ())
    return list(found.values())


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
