"""Go modules of charts: version and content as go.mod and go.sum pin them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, read_text
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.operator import Module


@dataclass(frozen=True)
class Pin:
    """A module's version, and its lines in go.sum: of its contents and of its go.mod."""

    version: str
    lines: tuple[str, ...]


def pin_of(folder: Path, module: Module) -> Pin:
    """The pin of a component's module. Raises ConfigurationError, as `problems` finds it before."""
    program = folder / module.program
    times = tuple(
        file.stat().st_mtime_ns for name in ("go.mod", "go.sum") if (file := program / name).exists()
    )
    return _pin(program, module.name, times)


def problems(document: Document, component: Component, folder: Path) -> Iterator[Problem]:
    """Find a module that is not pinned, and a version that differs from component.yaml."""
    module = component.module
    if not module:
        return
    try:
        pin = pin_of(folder, module)
    except ConfigurationError as error:
        place = ("module", "program" if any(not p.line for p in error.problems) else "name")
        yield from (document.problem(place, problem.what, problem.hint) for problem in error.problems)
        return
    if pin.version != f"v{component.version}":
        what = f"version: {component.version}, but {module.program}/go.mod has {module.name} {pin.version}"
        yield document.problem(("version",), what, f"write {pin.version.removeprefix('v')}")


@cache
def _pin(program: Path, name: str, _changed: tuple[int, ...]) -> Pin:
    missing = [file for file in ("go.mod", "go.sum") if not (program / file).is_file()]
    if missing:
        what = f"{program.name}: no {' and no '.join(missing)}"
        hint = "the chart is what these files pin; `go mod tidy` in the folder writes go.sum"
        raise ConfigurationError((Problem(shown(program), 0, what, hint),))
    texts = {file: read_text(program / file, shown(program / file)) for file in ("go.mod", "go.sum")}
    required = re.search(rf"^\s*(?:require\s+)?{re.escape(name)}\s+(v\S+)", texts["go.mod"], re.MULTILINE)
    if not required:
        what, hint = f"{name} is not in {program.name}/go.mod", f"go get -tool {name}/...@VERSION there"
        raise ConfigurationError((Problem(shown(program / "go.mod"), 1, what, hint),))
    version = required[1]
    pins = (f"{name} {version} h1:", f"{name} {version}/go.mod h1:")
    lines = [line for line in texts["go.sum"].splitlines() if line.startswith(pins)]
    if not any(line.startswith(pins[0]) for line in lines):
        what = f"{name} {version} has no h1 line in {program.name}/go.sum"
        hint = f"go mod download {name} in the folder writes it"
        raise ConfigurationError((Problem(shown(program / "go.sum"), 1, what, hint),))
    return Pin(version, tuple(lines))
