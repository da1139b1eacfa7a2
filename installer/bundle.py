"""Owns bundles: people's own code that a component runs; where it comes from, checked, as chart values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from installer.component import Component, Name
from installer.errors import ConfigurationError, Problem
from installer.yamlfile import Document, Strict, load

if TYPE_CHECKING:
    from installer.context import Context

_RECIPE, _RECIPES = "image.yaml", "images"
# A ConfigMap holds 1 MiB at most, and the API server keeps it in memory: for code, not for data.
_MOST_BYTES, _MOST_FILES = 512 * 1024, 200
_ITEMS = "${items}"


def _pattern(expression: str, what: str) -> AfterValidator:
    """These words are written into programs' configuration, so nothing in them may mean more there."""

    def check(value: str) -> str:
        if not re.fullmatch(expression, value) or ".." in value:
            raise ValueError(what)
        return value

    return AfterValidator(check)


_URL = r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/[A-Za-z0-9._~/-]+"
_REFERENCE = r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})"
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
            f"{_REFERENCE}|[a-z][-a-z0-9]*",
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
    """What is wrong with one component's bundle; works on raw data, so it also runs when the model failed.

    `beside` is the folder of the environment file, None where that is a copy kept for `down`.
    """
    raw = spec.get("bundle")
    place = ("components", component.name, "bundle")
    if not isinstance(raw, dict):
        return
    if not component.bundles:
        yield document.problem(place, f"{component.name} runs no code of yours", "remove bundle")
        return
    git, image, folder = raw.get("git"), raw.get("image"), raw.get("folder")
    if isinstance(git, dict) and isinstance(git.get("url"), str):
        port = _port(git["url"])
        reached = [e.get("port") for e in spec.get("egress") or [] if isinstance(e, dict)]
        if port and port not in reached:
            what = f"{component.name} may not reach port {port} of the repository's server"
            hint = f"add it to components.{component.name}.egress"
            yield document.problem((*place, "git", "url"), what, hint)
    if isinstance(image, str) and re.fullmatch(r"[a-z][-a-z0-9]*", image) and beside:
        yield from _recipe_problems(document, (*place, "image"), component, beside / _RECIPES / image)
    if isinstance(folder, str) and folder and beside:
        for what, hint in _folder_problems(beside / folder):
            yield document.problem((*place, "folder"), f"{folder}: {what}", hint)


def _port(url: str) -> int:
    try:
        parts = urlsplit(url)
        return parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return 0  # the model says so


def _recipe_problems(
    document: Document, place: tuple[str, ...], component: Component, folder: Path
) -> Iterator[Problem]:
    base = component.embedded.image if component.embedded else ""
    if not (folder / _RECIPE).is_file():
        yield document.problem(place, f"no recipe {folder.name}", f"expected {folder / _RECIPE}")
        return
    recipe = load(folder / _RECIPE).data
    if not isinstance(recipe, dict) or recipe.get("base") != base:
        yield document.problem(place, f"{folder.name} is not made from {base}", f"its recipe: base: {base}")


def _folder_problems(folder: Path) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        yield "no such folder", f"looked for {folder}"
        return
    found = _files(folder)
    if not found:
        yield "there is nothing in it", "hidden files and __pycache__ do not count"
    if len(found) > _MOST_FILES:
        yield f"{len(found)} files, at most {_MOST_FILES}", "take an image or a repository"
        return
    total = 0
    for path in found:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield f"{name} is a link", "write a file in its place"
            continue
        total += path.stat().st_size
        if total > _MOST_BYTES:
            yield f"more than {_MOST_BYTES // 1024} KiB", "take an image or a repository"
            return
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            yield f"{name} is not text", "take an image or a repository"


def _files(folder: Path) -> list[Path]:
    """What of a folder is meant: no hidden files, nothing Python has compiled."""
    return sorted(
        path
        for path in folder.rglob("*")
        if (path.is_file() or path.is_symlink())
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
    )


def image(context: Context, component: Component) -> str:
    """The recipe its pods run: the component's own, or the bundle's that stands on it."""
    assert component.embedded, "asked only where charts come without images"
    bundle = context.environment.components[component.name].bundle
    return bundle.image if bundle and bundle.image else component.embedded.image


def config_map(context: Context, component: Component) -> dict[str, Any] | None:
    """A folder as a ConfigMap in the component's namespace, None for every other bundle.

    Pods see a changed file within about a minute; a new file, as another list of them, rolls the pods.
    """
    bundle = context.environment.components[component.name].bundle
    if not bundle or not bundle.folder:
        return None
    meta = {"name": f"{component.name}-bundle", "namespace": component.namespace}
    data = {_key(name): text for name, text in _texts(context, bundle).items()}
    labels = {"app.kubernetes.io/part-of": "mlops-platform"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "labels": labels}, "data": data}


def values(context: Context, component: Component, words: Mapping[str, str]) -> dict[str, Any]:
    """What the bundle changes in the component's values; its folder's `bundles` file says what."""
    from installer.catalog import values_file
    from installer.releases import merge, substitute

    bundle = context.environment.components[component.name].bundle
    if not bundle:
        return {}
    embedded = bool(context.cluster.embedded and component.embedded)
    if bundle.image and embedded != ("/" not in bundle.image):
        what = "only recipes run here" if embedded else "a recipe is no image in a registry"
        place = f"components.{component.name}.bundle.image"
        raise ConfigurationError((Problem(context.environment.name, 0, f"{place}: {what}"),))
    kinds = values_file(context.catalog.folder(component.name) / component.bundles)
    parts = kinds["embedded" if embedded else "chart"]
    known = {**words, **_words(bundle)}
    changed: dict[str, Any] = merge(parts[bundle.kind], {})
    if bundle.git and bundle.git.secret:
        changed = merge(changed, parts["secret"])
    names = _texts(context, bundle) if bundle.folder else {}
    items = [{"key": _key(name), "path": name} for name in names]
    filled: dict[str, Any] = substitute(_listed(changed, items), known)
    return filled


def _words(bundle: Bundle) -> dict[str, str]:
    git = bundle.git
    if not git:
        name, _, tag = bundle.image.rpartition(":")
        return {"repository": name, "tag": tag}
    return {"url": git.url, "ref": git.ref, "path": git.path, "secret": git.secret or ""}


def _listed(value: Any, items: list[dict[str, str]]) -> Any:
    if value == _ITEMS:
        return items
    if isinstance(value, dict):
        return {key: _listed(each, items) for key, each in value.items()}
    return [_listed(each, items) for each in value] if isinstance(value, list) else value


def _texts(context: Context, bundle: Bundle) -> dict[str, str]:
    folder = context.beside / bundle.folder
    return {path.relative_to(folder).as_posix(): path.read_text() for path in _files(folder)}


def _key(name: str) -> str:
    """A ConfigMap's keys have no slashes."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
