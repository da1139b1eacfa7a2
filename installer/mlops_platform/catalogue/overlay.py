"""Overlays: kustomizations of ours on kustomizations in a Go module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import Problem
from mlops_platform.base.paths import MODULE_FOLDER, shown
from mlops_platform.base.values import substitute
from mlops_platform.base.yaml import Document, read_text
from mlops_platform.catalogue import variables
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.documents import document_of, values_file
from mlops_platform.catalogue.operator import Module

_FILE = "kustomization.yaml"
_INSIDE = f"{MODULE_FOLDER}/"


def bases(folder: Path, module: Module) -> tuple[str, ...]:
    """The kustomizations of the module that the overlay uses, as folders in the module."""
    named = values_file(folder / module.overlay / _FILE).get("resources") or []
    return tuple(each.removeprefix(_INSIDE).rstrip("/") for each in named if each.startswith(_INSIDE))


def files(folder: Path, module: Module, known: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The overlay's files by name, with the template variables filled in."""
    return tuple((path.name, substitute(read_text(path), known)) for path in _paths(folder / module.overlay))


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def problems(document: Document, component: Component, folder: Path) -> Iterator[Problem]:
    """Find an overlay without its kustomization, one that uses nothing of the module, and wrong variables."""
    module, place = component.module, ("module", "overlay")
    if not (module and module.overlay):
        return
    overlay = folder / module.overlay
    if not (overlay / _FILE).is_file():
        yield document.problem(place, f"{module.overlay}: no {_FILE}", f"add it in {folder.name}/")
        return
    kustomization = document_of(overlay / _FILE)
    yield from kustomization.problems
    if not kustomization.problems and not bases(folder, module):
        hint = f"name a folder of the module with a {_FILE}, such as {_INSIDE}config/default"
        yield kustomization.problem(("resources",), "resources: nothing of the module", hint)
    known = {*variables.COMMON, *variables.ports(component), *variables.images(component)}
    for path in _paths(overlay):
        for number, line in enumerate(read_text(path, shown(path)).splitlines(), 1):
            for _, what, hint in variables.wrong(line, known):
                yield Problem(shown(path), number, what, hint)
