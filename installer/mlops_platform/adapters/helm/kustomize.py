"""Renders kustomize trees, and overlays on kustomizations in a Go module."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.helm.git_tree import tree_id
from mlops_platform.adapters.helm.sources import Files, KustomizeTree, ModuleCharts
from mlops_platform.adapters.process import run
from mlops_platform.base.errors import StepError
from mlops_platform.base.paths import UPSTREAM_FOLDER
from mlops_platform.base.yaml import kubernetes_objects, load_kubernetes

_SECONDS = 120.0
_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FOLDERS = ("resources", "bases", "components")
_FREE_TEXT = frozenset({"commonAnnotations", "annotations", "literals", "labels", "patch"})
# A tree may refer to resources on the network, which no digest covers. `_require_whole` finds the usual
# references; an unreachable proxy and a PATH without git block the others.
_OFFLINE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
    "PATH": "/nonexistent",
}

Object = Mapping[str, Any]


def render(kustomize: Path, archive: Path, tree: KustomizeTree) -> list[Object]:
    """All objects of the tree in kustomize's order. Raises StepError if the tree is incomplete."""
    with tempfile.TemporaryDirectory(prefix="kustomize-") as name:
        work = Path(name).resolve()
        top = _unpack(archive, work)
        if tree.overlay:
            top.rename(work / UPSTREAM_FOLDER)
            return _overlaid(kustomize, work, tree.overlay, tree.url)
        folder = (top / tree.path).resolve()
        if not folder.is_relative_to(work) or not folder.is_dir():
            raise StepError(f"{tree.url}: there is no folder {tree.path}")
        return _build(kustomize, folder, work, tree.url, f"kustomize build {tree.path}")


def tree_of(archive: Path) -> str:
    """The id that git gives to an archive's contents. Raises StepError if it is no archive of a commit."""
    with tempfile.TemporaryDirectory(prefix="kustomize-") as work:
        return tree_id(_unpack(archive, Path(work)))


def _unpack(archive: Path, work: Path) -> Path:
    """Unpack an archive of a code host, and return its one top folder."""
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(work, filter="data")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise StepError(
            f"{archive.name}: not a tar archive", why=f"{type(error).__name__}: {error}"
        ) from error
    tops = [entry for entry in work.iterdir() if entry.is_dir()]
    if len(tops) != 1:
        raise StepError(f"{archive.name}: it has {len(tops)} folders at the top, not one")
    return tops[0]


def render_overlay(kustomize: Path, module: Path, source: ModuleCharts) -> list[Object]:
    """All objects of an overlay on a module's kustomizations. Raises StepError as `render`."""
    with tempfile.TemporaryDirectory(prefix="kustomize-") as work:
        folder = Path(work).resolve()
        shutil.copytree(module, folder / UPSTREAM_FOLDER)
        return _overlaid(kustomize, folder, source.overlay, source.module)


def _overlaid(kustomize: Path, folder: Path, overlay: Files, title: str) -> list[Object]:
    """All objects of an overlay whose files are written into `folder`, beside upstream's."""
    for name, text in overlay:
        (folder / name).write_text(text)
    return _build(kustomize, folder, folder, title, f"kustomize build for {title}")


def _build(kustomize: Path, folder: Path, root: Path, url: str, what: str) -> list[Object]:
    _require_whole(folder, root, url, set())
    text = run([str(kustomize), "build", str(folder)], env=_OFFLINE, seconds=_SECONDS, what=what).stdout
    return kubernetes_objects(text, what)


def _require_whole(folder: Path, root: Path, url: str, seen: set[Path]) -> None:
    """Raise StepError if a kustomization, or one of its bases, refers to a file outside the root."""
    if folder in seen:
        return
    seen.add(folder)
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if not file:
        raise StepError(f"{url}: {folder.relative_to(root)} has no kustomization")
    content = load_kubernetes(file) or {}
    named = [entry for key in _FOLDERS for entry in content.get(key) or []]
    outside = [entry for entry in named if not (folder / entry).exists()]
    outside += [entry for entry in _strings(content) if re.match(r"([\w.-]+=)?https?://", entry)]
    if outside:
        raise StepError(
            f"{url}: {file.relative_to(root)} refers to a file that is not there",
            why="\n".join(dict.fromkeys(outside)),
            hint="choose a tree without remote resources: they are not pinned",
        )
    for entry in named:
        inner = (folder / entry).resolve()
        if inner.is_dir():
            _require_whole(inner, root, url, seen)


def _strings(value: Any) -> Iterator[str]:
    """All strings that may be paths: not those in annotations and patches."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _FREE_TEXT:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
