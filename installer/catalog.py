"""Owns the catalogue: one folder a component, read strictly, its edges checked, all problems in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from installer.errors import ConfigurationError, Problem
from installer.quantities import cpu, memory
from installer.yamlfile import Document, check, load

LAYERS = ("data", "secrets", "access", "tracking", "orchestration", "serving", "pipelines", "observability")


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", value):
        raise ValueError("not a name | lower-case letters, digits and dashes, at most 30, a letter first")
    return value


def _pinned(value: str) -> str:
    """A version is exact: a range, a branch or 'latest' would make two runs two platforms."""
    if not re.fullmatch(r"v?\d+(\.\d+)*([-+.][0-9A-Za-z.-]+)?", value):
        raise ValueError("not a pinned version | write one exact version, such as 3.18.0")
    return value


def _digest(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise ValueError("not a digest | sha256: and 64 hexadecimal digits")
    return value


Name = Annotated[str, AfterValidator(_name)]
Pinned = Annotated[str, AfterValidator(_pinned)]
Digest = Annotated[str, AfterValidator(_digest)]
Port = Annotated[int, Field(ge=1, le=65535)]
Cpu = Annotated[str, AfterValidator(cpu)]
Memory = Annotated[str, AfterValidator(memory)]


class Strict(BaseModel):
    """No unknown key, no coercion, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Served(Strict):
    """One port a component offers; `ui` says a person opens it in a browser."""

    port: Port
    scheme: Literal["http", "tcp"] = "http"
    ui: bool = False
    login: str = Field(default="", description="How a person logs in, one line")


class Provided(Strict):
    """A capability others require by its name, and how an account is made for one of them.

    `script` runs as a Job in the `image` with the provider's `admin` Secret and the new account's
    Secret mounted; running it twice is running it once.
    """

    script: str = ""
    image: Name = "toolbox"
    admin: str = ""


class SecretNeed(Strict):
    """A generated Secret: `keys` are random, `bytes` of entropy each; `fixed` are no secrets."""

    keys: list[Name] = Field(default_factory=list)
    fixed: dict[str, str] = Field(default_factory=dict)
    bytes: Annotated[int, Field(ge=16, le=64)] = 24


class Needs(Strict):
    """What must be made for a component before it starts; each becomes a Secret in its namespace.

    `database` and `bucket` give Secrets `<name>-database` and `<name>-bucket`, made at whichever
    component provides `sql` and `object-store`; `secrets` gives `<name>-<key>`.
    """

    database: Name | None = None
    bucket: Name | None = None
    secrets: dict[Name, SecretNeed] = Field(default_factory=dict)


class Chart(Strict):
    """An official chart at an exact version; the archive's digest is checked at every download."""

    repo: str
    name: Name
    version: Pinned
    digest: Digest


class Kustomize(Strict):
    """A kustomize tree, for upstreams without a chart: an archive at a digest, and the folder in it."""

    repo: str
    ref: str
    path: str
    digest: Digest


class Embedded(Strict):
    """How the component runs where no chart and no registry is reachable: in-tree chart + built image."""

    chart: Literal["service"] = "service"
    image: Name
    values: str = "service.yaml"


class JobSpec(Strict):
    """A Job to completion before the release rolls, such as a schema migration."""

    name: Name
    image: Name
    command: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    secrets: list[str] = Field(default_factory=list, description="Secrets mounted below /run/secrets")
    memory: Memory = "512Mi"
    seconds: Annotated[int, Field(ge=1, le=3600)] = 300


class SmokeSpec(Strict):
    """Probes of one component: a script run as a Job that prints one JSON line a probe.

    `survives` names pods ("postgres-0", or "deployment/mlflow") that are deleted between the
    script's `write` and `read` phases; only run where the environment allows disruption.
    """

    script: str
    image: Name = "toolbox"
    secrets: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    survives: list[str] = Field(default_factory=list)
    memory: Memory = "512Mi"
    seconds: Annotated[int, Field(ge=1, le=3600)] = 300


class Resources(Strict):
    """What the component requests in all, for `check` and for sizing."""

    cpu: Cpu
    memory: Memory
    disk: Memory = "0"


class Component(Strict):
    """component.yaml: everything the house knows of a component."""

    name: Name
    layer: Literal[LAYERS]  # type: ignore[valid-type]
    summary: Annotated[str, Field(min_length=8, max_length=100)]
    version: Pinned
    namespace: Name
    requires: list[Name] = Field(default_factory=list)
    provides: dict[Name, Provided] = Field(default_factory=dict)
    serves: dict[Name, Served] = Field(default_factory=dict)
    needs: Needs = Needs()
    chart: Chart | None = None
    kustomize: Kustomize | None = None
    embedded: Embedded | None = None
    jobs: list[JobSpec] = Field(default_factory=list)
    smoke: list[SmokeSpec] = Field(default_factory=list)
    resources: Resources

    @model_validator(mode="after")
    def _one_source(self) -> Component:
        if self.chart and self.kustomize:
            raise ValueError("both chart and kustomize | a component has one official source")
        if not (self.chart or self.kustomize or self.embedded):
            raise ValueError("no source | give chart, kustomize or embedded")
        return self


@dataclass(frozen=True)
class Entry:
    """A component and the folder it came from."""

    component: Component
    folder: Path
    document: Document


@dataclass(frozen=True)
class Catalog:
    """All components by name, and which of them provides a capability."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Component:
        return self.entries[name].component

    def folder(self, name: str) -> Path:
        return self.entries[name].folder

    def providers(self, wanted: str) -> list[str]:
        """Names that satisfy one `requires` word: the component itself, or whoever provides it."""
        if wanted in self.entries:
            return [wanted]
        return [name for name, entry in self.entries.items() if wanted in entry.component.provides]

    def edges(self, name: str, chosen: Iterable[str]) -> tuple[str, ...]:
        """The chosen components this one stands on, in catalogue order."""
        pool = set(chosen)
        found = {p for wanted in self[name].requires for p in self.providers(wanted) if p in pool}
        return tuple(n for n in self.entries if n in found)


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
        problems.extend(_missing_files(document, component, path.parent))
        entries[component.name] = Entry(component, path.parent, document)
    catalog = Catalog(entries)
    if not any(p.file.endswith("component.yaml") and "requires" in p.what for p in problems):
        problems.extend(_edge_problems(catalog, complete=not problems))
    return catalog, tuple(problems)


def _missing_files(document: Document, component: Component, folder: Path) -> Iterable[Problem]:
    """Every file component.yaml names must lie in the folder."""
    named: list[tuple[tuple[str | int, ...], str]] = []
    named += [(("provides", n, "script"), p.script) for n, p in component.provides.items() if p.script]
    named += [(("smoke", i, "script"), s.script) for i, s in enumerate(component.smoke)]
    if component.embedded:
        named.append((("embedded", "values"), component.embedded.values))
    for place, file in named:
        if not (folder / file).is_file():
            yield document.problem(
                place, f"{file}: no such file", f"expected beside component.yaml in {folder.name}/"
            )


def _edge_problems(catalog: Catalog, *, complete: bool) -> list[Problem]:
    """Unknown requirements (only sure when every file could be read) and cycles."""
    problems: list[Problem] = []
    for name, entry in catalog.entries.items():
        for i, wanted in enumerate(entry.component.requires):
            if complete and not catalog.providers(wanted):
                problems.append(
                    entry.document.problem(
                        ("requires", i),
                        f"{name} requires {wanted}, which nothing provides",
                        "a component's name or a capability some component provides",
                    )
                )
        for need, capability in (("database", "sql"), ("bucket", "object-store")):
            if getattr(entry.component.needs, need) and capability not in entry.component.requires:
                problems.append(
                    entry.document.problem(
                        ("needs", need),
                        f"{name} needs a {need} but does not require {capability}",
                        f"add {capability} to requires",
                    )
                )
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
    """The parsed values of a component. Raises ConfigurationError when it is not YAML."""
    document = load(path, f"{path.parent.name}/{path.name}")
    if document.problems:
        raise ConfigurationError(document.problems)
    return document.data
