"""Owns making a chart of a kustomize tree, so that it too has a history, a rollback and an uninstall."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from installer.adapters.helm.sources import KustomizeTree
from installer.adapters.process import run
from installer.errors import CommandFailed, StepError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_SECONDS = 120.0
_DEFINITION = "CustomResourceDefinition"
# A tree may name resources on the network, which no digest covers. With a proxy that nobody is
# behind and no git on the path, kustomize reaches nothing but the archive.
_OFFLINE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
    "PATH": "/nonexistent",
}

Object = Mapping[str, Any]


def render(kustomize: Path, archive: Path, tree: KustomizeTree) -> list[Object]:
    """Every object of the tree, in kustomize's order. Raises StepError when it is no tree or not whole."""
    with tempfile.TemporaryDirectory(prefix="kustomize-") as work:
        with tarfile.open(archive) as opened:
            opened.extractall(work, filter="data")
        tops = [entry for entry in Path(work).iterdir() if entry.is_dir()]
        folder = (tops[0] / tree.path).resolve() if len(tops) == 1 else None
        if not folder or not folder.is_relative_to(Path(work).resolve()) or not folder.is_dir():
            raise StepError(f"{tree.url}: there is no folder {tree.path} in its one top folder")
        try:
            text = run([str(kustomize), "build", str(folder)], env=_OFFLINE, seconds=_SECONDS).stdout
        except CommandFailed as error:
            error.hint = "all of the tree must be in the archive: what it names on the network is not pinned"
            error.command = f"{kustomize} build {tree.path}"  # in the unpacked archive
            raise
    return [found for found in yaml.load_all(text, Loader=_Loader) if found]


def write_chart(
    folder: Path, objects: list[Object], tree: KustomizeTree, name: str, namespace: str
) -> tuple[Object, ...]:
    """Write a chart of all that Helm may own; return the definitions, which it may not.

    The release's own namespace is left out as well: an uninstall would take it and all that is in it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "templates").mkdir(parents=True, mode=0o700)
    # The letter: an identifier of digits alone must not begin with 0. https://semver.org/#spec-item-9
    version = f"0.0.0-d{tree.digest.removeprefix('sha256:')[:12]}"
    about = {"apiVersion": "v2", "name": name, "version": version, "appVersion": tree.ref}
    (folder / "Chart.yaml").write_text(yaml.dump(about))
    own = [o for o in objects if o["kind"] != _DEFINITION and not _is_namespace(o, namespace)]
    for number, each in enumerate(own):
        text = yaml.dump(each, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        file = folder / "templates" / f"{number:04}-{each['kind'].lower()}.yaml"
        file.write_text(escaped(text))
    return tuple(o for o in objects if o["kind"] == _DEFINITION)


def escaped(text: str) -> str:
    """Text that Helm's templates give back as it is: dashboards and workflows are full of braces."""
    return text.replace("{{", "{{`{{`}}")


def _is_namespace(each: Object, name: str) -> bool:
    return (each["kind"], each["metadata"]["name"]) == ("Namespace", name)
