"""The catalogue: one folder per component, its edges, and all problems of all files in one pass."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, check, load
from mlops_platform.catalogue import folder as folders
from mlops_platform.catalogue.checks import (
    CAPABILITIES,
    NOT_COMPONENTS,
    dangling,
    edge_problems,
)
from mlops_platform.catalogue.component import (
    LAYERS,
    Component,
    JobSpec,
    Outside,
    Script,
    SecretNeed,
    SmokeSpec,
)
from mlops_platform.catalogue.documents import values_file

__all__ = [
    "CAPABILITIES",
    "IDENTITY",
    "LAYERS",
    "OWN_FOLDER",
    "SECRET_STORE",
    "SIGN_ON",
    "Catalog",
    "Component",
    "Entry",
    "Flow",
    "JobSpec",
    "Script",
    "SecretNeed",
    "SmokeSpec",
    "own_folder",
    "read_catalog",
    "read_catalog_leniently",
    "values_file",
]

# Installed before every component for which a Secret is made.
SECRET_STORE = "secret-store"  # noqa: S105
# The OIDC issuer, and the component that signs users in there; an environment may name its own issuer.
IDENTITY, SIGN_ON = "identity", "sign-on"
FILE = "component.yaml"
OWN_FOLDER = "MLOPS_PLATFORM_COMPONENTS"


@dataclass(frozen=True)
class Entry:
    """A component and its folder."""

    component: Component
    folder: Path
    document: Document


@dataclass(frozen=True, order=True)
class Flow:
    """A permitted connection: any pod of `source` to this port of any pod of `target`."""

    source: str
    target: str
    port: int


@dataclass(frozen=True)
class Catalog:
    """All components by name."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Component:
        return self.entries[name].component

    def folder(self, name: str) -> Path:
        return self.entries[name].folder

    def with_egress(self, more: Mapping[str, Iterable[Outside]]) -> Catalog:
        """Return the catalogue with the egress that an environment adds to components."""
        entries = dict(self.entries)
        for name, given in more.items():
            component = self[name]
            update = {"egress": [*component.egress, *given]}
            entries[name] = replace(entries[name], component=component.model_copy(update=update))
        return replace(self, entries=entries)

    def providers(self, wanted: str) -> list[str]:
        """Names that satisfy one word of `requires`: the component itself, or those that provide it."""
        if wanted in self.entries:
            return [wanted]
        return [name for name, entry in self.entries.items() if wanted in entry.component.provides]

    def edges(self, name: str, chosen: Iterable[str]) -> tuple[str, ...]:
        """The chosen components that are installed before this one, in catalogue order.

        Besides `requires`: the secret store, if a Secret is made for it, and for an ingress its UIs.
        """
        pool, component = set(chosen), self[name]
        found = self._resolved(component.requires, pool)
        if component.needs.anything:
            found |= self._resolved([SECRET_STORE], pool)
        if component.ingress:
            found |= {n for n in pool if any(s.ui for s in self[n].serves.values())}
        return tuple(n for n in self.entries if n in found - {name})

    def flows(self, chosen: Iterable[str]) -> frozenset[Flow]:
        """Every permitted connection between the chosen components; all others are denied.

        A component reaches every port of what it requires or may call (`optional`), its own ports, and
        an ingress the `ui` ports.
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


def own_folder() -> Path | None:
    """The folder of the user's own components, if there is one.

    Raises ConfigurationError if MLOPS_PLATFORM_COMPONENTS names no folder.
    """
    given = os.environ.get(OWN_FOLDER)
    folder = Path(given or "components").absolute()
    if folder.is_dir():
        return folder
    if given:
        hint = f"create it, or unset {OWN_FOLDER}"
        raise ConfigurationError((Problem(given, 0, "no such folder of components", hint),))
    return None


def read_catalog(*folders: Path, images: Path | None = None) -> Catalog:
    """Read every component folder. Raises ConfigurationError with all problems of all files."""
    catalog, problems = read_catalog_leniently(*folders, images=images)
    if problems:
        raise ConfigurationError(problems)
    return catalog


def read_catalog_leniently(
    *catalogues: Path, images: Path | None = None
) -> tuple[Catalog, tuple[Problem, ...]]:
    """Read what is readable, with every problem, for callers that report several files at once.

    The first folder is the shipped one. `images` has the shipped image recipes; without it the names of
    images are not checked.
    """
    problems: list[Problem] = []
    entries: dict[str, Entry] = {}
    paths = [each for folder in catalogues for each in sorted(folder.iterdir()) if _is_folder(each)]
    recipes = {path.name for path in paths if (path / folders.RECIPE).is_file()}
    known = {*recipes, *(p.parent.name for p in images.glob(f"*/{folders.RECIPE}"))} if images else None
    for path in paths:
        document, component, found = _read(path, known, parse=path.parent != catalogues[0])
        problems += found
        if not component or not document:
            continue
        if component.name in entries:
            problems.append(_duplicate(document, entries[component.name], catalogues))
            continue
        entries[component.name] = Entry(component, path, document)
    catalog = Catalog(entries)
    if not any(p.file.endswith(FILE) and "requires" in p.what for p in problems):
        problems.extend(edge_problems(catalog, complete=not problems))
    return catalog, tuple(problems)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _read(
    path: Path, images: Collection[str] | None, *, parse: bool
) -> tuple[Document | None, Component | None, list[Problem]]:
    """Read one folder: its document, its component if component.yaml is right, and all problems."""
    file = path / FILE
    name = shown(file)
    if not (file.exists() or file.is_symlink()):
        hint = f"write {FILE}, or move the folder; `mlops-platform component new` writes an example"
        return None, None, [Problem(name, 0, "no such file", hint)] if _meant(path) else []
    if not _inside(file, path.parent):
        hint = "copy the folder or the file into it"
        return None, None, [Problem(name, 0, "a symbolic link that leads out of the folder", hint)]
    document = load(file, name)
    component, found = check(document, Component)
    problems = list(found)
    if component:
        if component.name != path.name:
            hint = f"write name: {path.name}, or rename the folder"
            problems.append(document.problem(("name",), "name: differs from its folder's", hint))
        if component.name in NOT_COMPONENTS:
            problems.append(document.problem(("name",), f"{component.name}: a reserved name", "rename it"))
        problems += dangling(document, component)
        problems += folders.problems(document, component, path, images, parse=parse)
    return document, component, problems


def _meant(path: Path) -> bool:
    """Tell whether a folder without component.yaml was meant to be a component."""
    return any(
        (path / name).exists() for name in ("component.yml", "service.yaml", "values.yaml", "smoke.py")
    )


def _inside(file: Path, folder: Path) -> bool:
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def _duplicate(document: Document, first: Entry, catalogues: Iterable[Path]) -> Problem:
    name, shipped = first.component.name, first.folder.parent == next(iter(catalogues))
    if shipped and not document.file.startswith(f"{first.folder.parent.name}/"):
        return document.problem(("name",), f"{name}: a shipped component has this name", "rename yours")
    return document.problem(("name",), f"{name}: duplicate name", f"also in {first.document.file}")
