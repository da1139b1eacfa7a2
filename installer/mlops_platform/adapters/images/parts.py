"""Parts of a recipe: the inputs of each layer and the function that makes it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.adapters.images import debian, python
from mlops_platform.adapters.images.layer import (
    Entry,
    file,
    fingerprints,
    folder,
    placed,
    read_texts,
    text,
    tree,
    unpacked,
    without,
)
from mlops_platform.adapters.images.recipe import Read, Recipe
from mlops_platform.adapters.programs import ARCHITECTURE, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress

# Raise it if layers are made differently: it changes every image.
FORMAT = 2

_PACKAGE = Path(__file__).resolve().parents[2]
# Folders of the package: its data, which is added apart, bytecode, and sources of Go programs.
_NOT_SHIPPED = frozenset(("_data", "__pycache__", "program", "programs"))

# Kinds of layers with folders, links and accounts that small layers use.
_FIXED = ("debian", "files")


@dataclass(frozen=True)
class Below:
    """Finished layer below the one being made."""

    kind: str
    blob: Path


@dataclass(frozen=True)
class Workplace:
    """Inputs for making a layer: an empty folder, the layers below, cache, programs and progress."""

    work: Path
    below: Sequence[Below]
    cache: Path
    programs: Programs
    progress: Progress
    cancel: Cancel

    def paths(self, *kinds: str) -> list[Path]:
        """Return the plain tars of the layers below."""
        return [
            unpacked(layer.blob, self.work / f"{layer.blob.name}.tar", self.cancel)
            for layer in self.below
            if layer.kind in kinds
        ]


@dataclass(frozen=True)
class Part:
    """Layer to make. Its content depends on `inputs` and on the layers of the kinds `stands_on` only."""

    kind: str
    made_of: str
    inputs: Mapping[str, Any]
    stands_on: tuple[str, ...]
    make: Callable[[Workplace], list[Entry]]


def digest(value: object) -> str:
    """Return SHA-256 (hexadecimal) of plain data; the order of keys does not matter."""
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def parts(chain: Sequence[Read], programs: Programs) -> list[Part]:
    """Return the layers that the last recipe of `chain` (lowest base first) adds."""
    read = chain[-1]
    recipe = read.recipe
    found: list[Part] = []
    if recipe.debian:
        found.append(_debian(chain))
    if recipe.pip:
        found.append(_pip(read))
    if recipe.programs:
        found.append(_programs(read, programs))
    if recipe.files or recipe.program or recipe.directories or recipe.user is not None:
        found.append(_files(read))
    return found


def runtime_inputs(recipe: Recipe) -> Mapping[str, Any]:
    """Return all inputs of the image's configuration."""
    kept = {"name", "user", "entrypoint", "cmd", "env", "workdir", "stopsignal"}
    return recipe.model_dump(mode="json", include=kept) | {"format": FORMAT, "architecture": ARCHITECTURE}


def _debian(chain: Sequence[Read]) -> Part:
    """Install the packages of recipe and bases together; keep what the layers of the bases do not have."""
    wanted = debian.Packages(
        names=tuple(sorted({name for read in chain for name in read.recipe.debian})),
        preset=tuple((p, read.source(s)) for read in chain for p, s in sorted(read.recipe.preset.items())),
        remove=tuple(dict.fromkeys(pattern for read in chain for pattern in read.recipe.remove)),
    )

    def make(place: Workplace) -> list[Entry]:
        root = place.work / "root"
        debian.install(wanted, root, place.progress, place.cancel)
        if python.version(root):
            python.compile_debian(root, place.progress, place.cancel)
        return without(tree(root), fingerprints(place.paths("debian")))

    inputs = {
        "suite": debian.SUITE,
        "names": wanted.names,
        "preset": {path: _contents(source) for path, source in wanted.preset},
        "remove": wanted.remove,
    }
    return Part("debian", f"debian: {' '.join(chain[-1].recipe.debian)}", inputs, ("debian",), make)


def _pip(read: Read) -> Part:
    source = read.source(read.recipe.pip)

    def make(place: Workplace) -> list[Entry]:
        root = python.install(
            python.Wanted(source, tuple(read.recipe.remove)),
            place.paths("debian"),
            place.work,
            place.cache / "build" / "pip",
            place.progress,
            place.cancel,
        )
        return placed(tree(root), fingerprints(place.paths("debian"), contents=False))

    inputs = {"requirements": _contents(source), "remove": read.recipe.remove}
    return Part("pip", f"pip: {read.recipe.pip}", inputs, ("debian",), make)


def _programs(read: Read, programs: Programs) -> Part:
    wanted = [(read.program(each), each) for each in read.recipe.programs]

    def make(place: Workplace) -> list[Entry]:
        entries: list[Entry] = []
        for program, each in wanted:
            built = programs.build(program, place.progress, place.cancel)
            entries.append(file(each.path, built / each.binary))
        return placed(entries, fingerprints(place.paths(*_FIXED), contents=False))

    inputs = {each.path: [programs.key(program), each.binary] for program, each in wanted}
    return Part("programs", f"programs: {' '.join(inputs)}", inputs, _FIXED, make)


def _files(read: Read) -> Part:
    recipe = read.recipe
    own = _own_program(recipe.program) if recipe.program else {}

    def make(place: Workplace) -> list[Entry]:
        entries = [
            entry for path, source in recipe.files.items() for entry in _copied(path, read.source(source))
        ]
        entries += [file(path, source) for path, source in own.items()]
        owner = recipe.user or 0
        entries += [folder(path, int(mode, 8), owner) for path, mode in recipe.directories.items()]
        below = place.paths(*_FIXED)
        known = {entry.path for entry in entries}
        entries += [e for e in _account(recipe, below) if e.path not in known]
        return placed(entries, fingerprints(below, contents=False))

    inputs = {
        "files": {path: _contents(read.source(source)) for path, source in recipe.files.items()},
        "directories": recipe.directories,
        "user": recipe.user,
        "home": recipe.workdir,
        **({"program": {path: _contents(source) for path, source in own.items()}} if own else {}),
    }
    return Part("files", f"files: {' '.join([*recipe.files, *recipe.directories])}", inputs, _FIXED, make)


def _own_program(folder: str) -> dict[str, Path]:
    """Return the files of this program by their path in the image, laid out as in its wheel."""
    places = {
        f"{folder}/mlops_platform": _PACKAGE,
        f"{folder}/mlops_platform/_data/helm-values": Paths.default().assets / "helm-values",
    }
    found: dict[str, Path] = {}
    for place, source in places.items():
        for head, folders, names in os.walk(source):
            folders[:] = [name for name in folders if name not in _NOT_SHIPPED]
            inside = f"{place}{head.removeprefix(str(source))}"
            found |= {f"{inside}/{name}": Path(head, name) for name in names}
    return dict(sorted(found.items()))


def _copied(path: str, source: Path) -> Iterable[Entry]:
    if source.is_file():
        yield file(path, source)
        return
    yield folder(path)
    for child in sorted(source.rglob("*")):
        inside = f"{path}/{child.relative_to(source)}"
        yield file(inside, child) if child.is_file() else folder(inside)


def _account(recipe: Recipe, below: Sequence[Path]) -> list[Entry]:
    """Add an account for the image's user number: initdb, ssh and Python's getpass fail without one."""
    if not recipe.user:
        return []
    seen = read_texts(below, ("etc/passwd", "etc/group"))
    uid, home = recipe.user, recipe.workdir or "/"
    lines = {"etc/passwd": f"app:x:{uid}:{uid}:app:{home}:/usr/sbin/nologin", "etc/group": f"app:x:{uid}:"}
    found: list[Entry] = []
    for path, content in seen.items():
        if not re.search(rf"^[^:]*:[^:]*:{uid}:", content, re.MULTILINE):
            kept = [line for line in content.splitlines() if not line.startswith("app:")]
            found.append(text(path, "\n".join([*kept, lines[path]]) + "\n"))
    return found


def _contents(source: Path) -> Any:
    """Return what git stores of a file or folder: names, digests of contents, executable bits."""
    if source.is_dir():
        inside = sorted(source.rglob("*"))
        return {str(child.relative_to(source)): _contents(child) for child in inside if child.is_file()}
    executable = bool(source.stat().st_mode & 0o100)
    return [hashlib.sha256(source.read_bytes()).hexdigest(), executable]
