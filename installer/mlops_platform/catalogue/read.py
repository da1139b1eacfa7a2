"""Reading the catalogue: every folder of components, and all problems of all files in one pass."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, check, load
from mlops_platform.catalogue import folder as folders
from mlops_platform.catalogue.catalogue import Catalog, Entry
from mlops_platform.catalogue.checks import NOT_COMPONENTS, dangling, edge_problems
from mlops_platform.catalogue.component import Component

FILE = "component.yaml"
OWN_FOLDER = "MLOPS_PLATFORM_COMPONENTS"


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
    paths = [each for folder in catalogues for each in _folders(folder, problems)]
    recipes = {path.name for path in paths if (path / folders.RECIPE).is_file()}
    known = {*recipes, *(p.parent.name for p in images.glob(f"*/{folders.RECIPE}"))} if images else None
    for path in paths:
        try:
            document, component, found = _read(path, known, parse=path.parent != catalogues[0])
        except OSError as error:
            problems.append(_unreadable(path, error))
            continue
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


def _folders(catalogue: Path, problems: list[Problem]) -> list[Path]:
    """The subfolders that may be components, sorted."""
    try:
        return [p for p in sorted(catalogue.iterdir()) if p.is_dir() and not p.name.startswith((".", "__"))]
    except OSError as error:
        problems.append(_unreadable(catalogue, error))
        return []


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(shown(path), 0, f"cannot be read: {error.strerror}", "check its permissions")


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
