"""Files of custom resources that a component applies after its release."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, load_documents
from mlops_platform.catalogue import variables
from mlops_platform.catalogue.component import Component


def objects_of(folder: Path, component: Component) -> list[dict[str, Any]]:
    """All objects of the component's files, with template variables. Raises ConfigurationError."""
    found: list[dict[str, Any]] = []
    for name in component.objects:
        document = _document(folder / name)
        if document.problems:
            raise ConfigurationError(document.problems)
        found += document.data
    return found


def problems(path: Path, component: Component, known: Collection[str]) -> Iterator[Problem]:
    """Find what the API server would refuse, and objects that belong into the chart."""
    document = _document(path)
    yield from document.problems
    yield from (document.problem(*each) for each in variables.wrong(document.data, known))
    for index, each in enumerate(document.data or ()):
        yield from _object(document, index, each, component)


def is_builtin(group: str) -> bool:
    """Return whether an API group belongs to Kubernetes: *.k8s.io is reserved for it, *.x-k8s.io is not.

    https://github.com/kubernetes/enhancements/tree/master/keps/sig-architecture/1111-api-group-protection
    """
    return "." not in group or group.endswith(".k8s.io")


def _object(document: Document, index: int, each: Any, component: Component) -> Iterator[Problem]:
    meta = each.get("metadata") if isinstance(each, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    if not (isinstance(name, str) and isinstance(each.get("kind"), str)):
        yield document.problem((index,), "not an object", "give apiVersion, kind and metadata.name")
        return
    title = f"{each['kind']} {name}"
    group = str(each.get("apiVersion", "")).rpartition("/")[0]
    if is_builtin(group):
        what = f"{title}: not a custom resource"
        yield document.problem(
            (index, "apiVersion"), what, "objects of Kubernetes itself belong to the chart"
        )
    assert isinstance(meta, dict)
    if meta.get("namespace", component.namespace) not in (component.namespace, "${namespace}"):
        what = f"{title}: in another namespace"
        yield document.problem((index, "metadata", "namespace"), what, f"write {component.namespace}")


def _document(path: Path) -> Document:
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _changed: int) -> Document:
    return load_documents(path, shown(path))
