"""Image recipes: find and read image.yaml files, report all problems in one pass."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from mlops_platform.adapters.programs import Program
from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, Strict, check, load, read_text

FILE = "image.yaml"


def _absolute(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or value == "/":
        raise ValueError("not a path in the image | an absolute path without .., such as /etc/app.conf")
    return value


def _relative(value: str) -> str:
    if value.startswith("/") or len(value) > 200:  # no file system has a name of more than 255 bytes
        raise ValueError("not a relative path | a path relative to the recipe's folder")
    return value


def _mode(value: str) -> str:
    if not re.fullmatch(r"[0-7]{3,4}", value):
        raise ValueError('not a mode | octal digits in quotes, such as "0755"')
    return value


def _package(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", value):
        raise ValueError("not a Debian package | the name of a binary package, such as libpq5")
    return value


def _signal(value: str) -> str:
    if value not in signal.Signals.__members__:
        raise ValueError("not a signal | a name such as SIGQUIT")
    return value


InImage = Annotated[str, AfterValidator(_absolute)]
Source = Annotated[str, AfterValidator(_relative)]
Mode = Annotated[str, AfterValidator(_mode)]
Package = Annotated[str, AfterValidator(_package)]


class ProgramFile(Strict):
    """Go program of a module: `binary` is the file that `go build` makes, `path` its path in the image."""

    module: Source = Field(description="Folder with go.mod and go.sum, relative to the recipe")
    binary: str
    path: InImage


class Recipe(Strict):
    """Recipe of an image. Each part is one layer, in this order: debian, pip, programs, files."""

    name: str = Field(description="The folder's name; the image is docker.io/local/<name>")
    base: str = Field("", description="Another recipe; without one the image starts empty")
    debian: list[Package] = Field(default_factory=list, description="Packages; their dependencies are added")
    preset: dict[InImage, Source] = Field(
        default_factory=dict, description="Files that must be there before the packages are configured"
    )
    remove: list[InImage] = Field(
        default_factory=list, description="Globs of files to remove from the debian and pip layers"
    )
    pip: Source = Field("", description="requirements.txt, every line pinned and hashed")
    programs: list[ProgramFile] = Field(default_factory=list)
    files: dict[InImage, Source] = Field(default_factory=dict, description="Files or folders")
    program: InImage | None = Field(
        None,
        description="Folder that gets the package mlops_platform with its components, for `files` to start",
    )
    directories: dict[InImage, Mode] = Field(default_factory=dict, description="Empty folders, owned by user")
    user: Annotated[int, Field(ge=0, le=2**31)] | None = None
    entrypoint: list[str] = Field(default_factory=list)
    cmd: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    workdir: InImage | None = None
    stopsignal: Annotated[str, AfterValidator(_signal)] = Field(
        "", description="The signal that ends the program gracefully, if that is not SIGTERM"
    )


@dataclass(frozen=True)
class Read:
    """Recipe and its folder: its sources are relative to `folder`."""

    recipe: Recipe
    folder: Path

    def source(self, relative: str) -> Path:
        return self.folder / relative

    def program(self, file: ProgramFile) -> Program:
        """Return the program of a module, by the last part of the module's name: recipes share it."""
        module = (self.folder / file.module).resolve()
        line = re.search(r"^module\s+(\S+)", read_text(module / "go.mod"), re.MULTILINE)
        return Program(line[1].rsplit("/", 1)[-1] if line else module.name, module)


def find_recipes(*folders: Path) -> dict[str, Path]:
    """Return image name -> folder for every subfolder with an image.yaml, without reading files.

    Raises ConfigurationError if two folders have one name.
    """
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    for folder in folders:
        for file in sorted(folder.glob(f"*/{FILE}")):
            name = file.parent.name
            if name in found:
                problems.append(
                    Problem(
                        shown(file), 1, f"image {name}: there are two", f"rename this folder or {found[name]}"
                    )
                )
            found.setdefault(name, file.parent)
    if problems:
        raise ConfigurationError(tuple(problems))
    return found


def read_recipes(folders: Mapping[str, Path]) -> dict[str, Read]:
    """Read all recipes. Raises ConfigurationError with all problems."""
    read: dict[str, Read] = {}
    problems: list[Problem] = []
    documents: dict[str, Document] = {}
    for name, folder in folders.items():
        document = load(folder / FILE, shown(folder / FILE))
        recipe, found = check(document, Recipe)
        problems += found
        if recipe:
            read[name] = Read(recipe, folder)
            documents[name] = document
    for name, each in read.items():
        problems += _disagreements(name, each, documents[name], folders)
        problems += _requirements(each, documents[name])
    problems += _cycles(read, documents)
    if problems:
        raise ConfigurationError(tuple(problems))
    return read


def _disagreements(name: str, read: Read, document: Document, known: Iterable[str]) -> Iterable[Problem]:
    """Yield problems between a recipe and its folder or other recipes."""
    recipe = read.recipe
    if recipe.name != name:
        yield document.problem(["name"], f"name: {recipe.name} in a folder named {name}", "use one name")
    if recipe.base and recipe.base not in known:
        yield document.problem(
            ["base"], f"base: no image {recipe.base}", f"known: {', '.join(sorted(known))}"
        )
    if recipe.preset and not recipe.debian:
        yield document.problem(["preset"], "preset: has no effect without debian packages", "use files")
    sources = [("files", path, source) for path, source in recipe.files.items()]
    sources += [("preset", path, source) for path, source in recipe.preset.items()]
    for key, path, source in sources:
        if not read.source(source).exists():
            yield document.problem([key, path], f"{key}.{path}: no file {source} beside the recipe")
    for i, program in enumerate(recipe.programs):
        if not (read.source(program.module) / "go.mod").is_file():
            yield document.problem(
                ("programs", i, "module"), f"programs.{i}.module: no go.mod in {program.module}"
            )


def _requirements(read: Read, document: Document) -> Iterable[Problem]:
    """Yield requirements without version or hash: pip would refuse the file too, but minutes later."""
    if not read.recipe.pip:
        return
    file = read.source(read.recipe.pip)
    if not file.is_file():
        yield document.problem(["pip"], f"pip: no file {read.recipe.pip} beside the recipe")
        return
    try:
        found = requirements(file)
    except ConfigurationError as error:
        yield from error.problems
        return
    for number, text in found:
        if "==" not in text or "--hash=sha256:" not in text:
            what = f"{text.split()[0]}: not pinned with == and --hash"
            yield Problem(shown(file), number, what, "write the file with uv pip compile --generate-hashes")


def requirements(file: Path) -> list[tuple[int, str]]:
    """Return line number and text of each requirement; joins continued lines, drops comments and options."""
    found: list[tuple[int, str]] = []
    start, text = 0, ""
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not text:
            start = number
        text += line.split(" #")[0].removesuffix("\\")
        if line.endswith("\\"):
            continue
        if text.strip() and not text.lstrip().startswith(("#", "-")):
            found.append((start, text.strip()))
        text = ""
    return found


def _cycles(read: Mapping[str, Read], documents: Mapping[str, Document]) -> Iterable[Problem]:
    for name in read:
        trail = [name]
        while (base := read[trail[-1]].recipe.base) in read and base not in trail:
            trail.append(base)
        if base == name:
            yield documents[name].problem(["base"], f"base: a cycle: {' → '.join([*trail, name])}")
