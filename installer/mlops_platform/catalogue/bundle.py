"""Bundles: users' code that a component runs, from a repository, an image or a folder; and its checks."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mlops_platform.base.errors import Problem
from mlops_platform.base.yaml import Document, Strict, load
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.fields import Name

_RECIPE, _RECIPES = "image.yaml", "images"
# A ConfigMap holds 1 MiB at most, and the API server keeps it in memory: for code, not for data.
_MOST_BYTES, _MOST_FILES, _MOST_ENTRIES = 512 * 1024, 200, 10_000


def _pattern(expression: str, what: str) -> AfterValidator:
    """Check text that becomes part of a program's configuration: no character has a meaning there."""

    def check(value: str) -> str:
        if not re.fullmatch(expression, value) or ".." in value:
            raise ValueError(what)
        return value

    return AfterValidator(check)


_URL = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/-]+"
_REFERENCE = r"[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})"
_BELOW = r"([A-Za-z0-9._-]+/)*[A-Za-z0-9._-]+"


class Git(Strict):
    """A repository. Its server must be among the component's `egress`."""

    url: Annotated[str, _pattern(_URL, "not a repository | such as https://git.example.com/team/dags.git")]
    ref: Annotated[str, _pattern(_BELOW, "not a branch or tag | such as main")] = "main"
    path: Annotated[str, _pattern(f"({_BELOW})?", "not a folder | relative, such as dags")] = ""
    secret: Name | None = Field(
        default=None,
        description="Kubernetes Secret in the component's namespace: GITSYNC_USERNAME, GITSYNC_PASSWORD",
    )


class Bundle(Strict):
    """Exactly one of three: a repository, an image of the component's with the code in it, or a folder."""

    git: Git | None = None
    image: Annotated[
        str,
        _pattern(
            f"{_REFERENCE}|[a-z][-a-z0-9]{{0,62}}",
            "not an image | a recipe's name, or a reference with its tag or digest",
        ),
    ] = Field(default="", description="a recipe in images/ beside this file, or a reference in a registry")
    folder: str = Field(
        default="", description="relative to this file; up to 200 text files of 512 KiB in all"
    )

    @model_validator(mode="after")
    def _one(self) -> Bundle:
        if sum(map(bool, (self.git, self.image, self.folder))) != 1:
            raise ValueError("one of git, image and folder | exactly one")
        return self

    @property
    def kind(self) -> str:
        return "git" if self.git else "image" if self.image else "folder"


def problems(
    document: Document, component: Component, spec: Mapping[str, Any], beside: Path | None
) -> Iterator[Problem]:
    """Find problems of one component's bundle in raw data, so that it also runs if the model failed.

    `beside` is the folder of the environment file; None for a recorded copy.
    """
    raw = spec.get("bundle")
    place = ("components", component.name, "bundle")
    if not isinstance(raw, dict):
        return
    if not component.bundles:
        yield document.problem(place, f"{component.name} has no bundles", "remove bundle")
        return
    git, image, folder = raw.get("git"), raw.get("image"), raw.get("folder")
    if isinstance(git, dict) and isinstance(git.get("url"), str):
        port = _port(git["url"])
        egress = spec.get("egress")
        reached = [e.get("port") for e in egress if isinstance(e, dict)] if isinstance(egress, list) else []
        if port and port not in reached:
            what = f"{component.name} must not reach port {port} of the repository's server"
            hint = f"add it to components.{component.name}.egress"
            yield document.problem((*place, "git", "url"), what, hint)
    if isinstance(image, str) and re.fullmatch(r"[a-z][-a-z0-9]{0,62}", image) and beside:
        yield from _recipe_problems(document, (*place, "image"), component, beside / _RECIPES / image)
    if isinstance(folder, str) and folder and beside:
        for what, hint in folder_problems(beside / folder):
            yield document.problem((*place, "folder"), f"{folder}: {what}", hint)


def _port(url: str) -> int:
    try:
        parts = urlsplit(url)
        return parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return 0  # the model reports it


def _recipe_problems(
    document: Document, place: tuple[str, ...], component: Component, folder: Path
) -> Iterator[Problem]:
    base = component.embedded.image if component.embedded else ""
    if not (folder / _RECIPE).is_file():
        yield document.problem(place, f"no recipe {folder.name}", f"write {folder / _RECIPE}")
        return
    recipe = load(folder / _RECIPE).data
    if not isinstance(recipe, dict) or recipe.get("base") != base:
        yield document.problem(
            place, f"{folder.name} is not made from {base}", f"write base: {base} in its recipe"
        )


def folder_problems(folder: Path) -> Iterator[tuple[str, str]]:
    """Find problems of a folder of code, as (what, hint)."""
    try:
        yield from _found_problems(folder)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        yield f"cannot be read: {getattr(error, 'strerror', None) or error}", f"looked for {folder}"


def _found_problems(folder: Path) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        yield "no such folder", f"looked for {folder}"
        return
    found = files(folder)
    if not found:
        yield "no files in it", "add files; hidden files and __pycache__ do not count"
    if len(found) > _MOST_FILES:
        yield f"more than {_MOST_FILES} files", "use an image or a repository"
        return
    total = 0
    for path in found:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield f"{name} is a symbolic link", "copy the file into the folder"
            continue
        total += path.stat().st_size
        if total > _MOST_BYTES:
            yield f"more than {_MOST_BYTES // 1024} KiB", "use an image or a repository"
            return
        try:
            name.encode()
            path.read_text(encoding="utf-8")
        except UnicodeError:
            yield f"{name} is not text", "use an image or a repository"


def files(folder: Path) -> list[Path]:
    """Return the files of a bundle: none that are hidden or compiled by Python; at most one too many.

    Raises OSError for a folder that cannot be read, or has so many others that a walk would take minutes.
    """
    found: list[Path] = []
    left = _MOST_ENTRIES
    folders = [folder]
    while folders and len(found) <= _MOST_FILES:
        for path in folders.pop().iterdir():
            left -= 1
            if not left:
                raise OSError(errno.EFBIG, f"more than {_MOST_ENTRIES} entries in it")
            if path.name.startswith(".") or path.name == "__pycache__":
                continue
            if path.is_file() or path.is_symlink():
                found.append(path)
            elif path.is_dir():
                folders.append(path)
    return sorted(found)
