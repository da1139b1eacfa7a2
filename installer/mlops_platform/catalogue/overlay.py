"""Overlays: kustomizations of ours on kustomizations of upstream, in a Go module or a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import Problem
from mlops_platform.base.paths import UPSTREAM_FOLDER, shown
from mlops_platform.base.values import substitute
from mlops_platform.base.yaml import Document, read_text
from mlops_platform.catalogue import variables
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.documents import document_of, values_file

_FILE = "kustomization.yaml"
_INSIDE = f"{UPSTREAM_FOLDER}/"


def bases(folder: Path) -> tuple[str, ...]:
    """The kustomizations of upstream that the overlay in `folder` uses, as folders in the module or tree."""
    named = values_file(folder / _FILE).get("resources") or []
    return tuple(each.removeprefix(_INSIDE).rstrip("/") for each in named if each.startswith(_INSIDE))


def files(folder: Path, known: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The overlay's files by name, with the template variables filled in."""
    return tuple((path.name, substitute(read_text(path), known)) for path in _paths(folder))


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def problems(document: Document, component: Component, folder: Path) -> Iterator[Problem]:
    """Find an overlay without its kustomization, one that uses nothing of upstream, and wrong variables."""
    if not component.overlay:
        return
    place = ("module" if component.module else "kustomize", "overlay")
    overlay = folder / component.overlay
    if not (overlay / _FILE).is_file():
        yield document.problem(place, f"{component.overlay}: no {_FILE}", f"add it in {folder.name}/")
        return
    kustomization = document_of(overlay / _FILE)
    yield from kustomization.problems
    if not kustomization.problems and not bases(overlay):
        hint = f"name a folder of upstream with a {_FILE}, such as {_INSIDE}config/default"
        yield kustomization.problem(("resources",), "resources: nothing of upstream", hint)
    known = {*variables.COMMON, *variables.ports(component), *variables.images(component)}
    for path in _paths(overlay):
        for number, line in enumerate(read_text(path, shown(path)).splitlines(), 1):
            for _, what, hint in variables.wrong(line, known):
                yield Problem(shown(path), number, what, hint)
