"""Files of custom resources and admission policies that a component applies after its release."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.labels import PROJECT_LABEL
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, load_documents
from mlops_platform.catalogue import variables
from mlops_platform.catalogue.component import Component

# Kinds of Kubernetes that may be among them; the bindings decide for which namespaces a policy is.
POLICY_API = "admissionregistration.k8s.io/v1"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def objects_of(
    folder: Path, component: Component, of: Literal["release", "projects"] = "release"
) -> list[dict[str, Any]]:
    """All objects of the component's files, with template variables. Raises ConfigurationError."""
    found: list[dict[str, Any]] = []
    own = component.projects.objects if component.projects else []
    for name in component.objects if of == "release" else own:
        document = _document(folder / name)
        if document.problems:
            raise ConfigurationError(document.problems)
        found += document.data
    return found


def problems(path: Path, known: Collection[str], *namespaces: str) -> Iterator[Problem]:
    """Find what the API server would refuse, and objects that belong into the chart.

    Objects are in one of the `namespaces`, or in none.
    """
    document = _document(path)
    yield from document.problems
    yield from (document.problem(*each) for each in variables.wrong(document.data, known))
    for index, each in enumerate(document.data or ()):
        yield from _object(document, index, each, namespaces)


def is_builtin(group: str) -> bool:
    """Return whether an API group belongs to Kubernetes: *.k8s.io is reserved for it, *.x-k8s.io is not.

    https://github.com/kubernetes/enhancements/tree/master/keps/sig-architecture/1111-api-group-protection
    """
    return "." not in group or group.endswith(".k8s.io")


def _object(document: Document, index: int, each: Any, namespaces: Sequence[str]) -> Iterator[Problem]:
    meta = each.get("metadata") if isinstance(each, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    if not (isinstance(name, str) and isinstance(each.get("kind"), str)):
        yield document.problem((index,), "not an object", "give apiVersion, kind and metadata.name")
        return
    title = f"{each['kind']} {name}"
    group = str(each.get("apiVersion", "")).rpartition("/")[0]
    if each["kind"] in POLICIES and each.get("apiVersion") == POLICY_API:
        yield from _policy(document, index, each, title)
    elif is_builtin(group):
        what = f"{title}: not a custom resource"
        yield document.problem(
            (index, "apiVersion"), what, "objects of Kubernetes itself belong to the chart"
        )
    assert isinstance(meta, dict)
    if meta.get("namespace", namespaces[0]) not in namespaces:
        what = f"{title}: in another namespace"
        yield document.problem((index, "metadata", "namespace"), what, f"write {namespaces[0]}")


def _policy(document: Document, index: int, each: Any, title: str) -> Iterator[Problem]:
    """Find a binding that is not for namespaces of projects only."""
    if not each["kind"].endswith("Binding"):
        return
    if not _selected(each):
        place = (index, "spec")
        hint = f"select them with matchResources.namespaceSelector and the label {PROJECT_LABEL}"
        yield document.problem(place, f"{title}: not for namespaces of projects only", hint)


def _selected(binding: Any) -> bool:
    """Return whether a binding selects namespaces by the label of projects."""
    node = binding
    for key in ("spec", "matchResources", "namespaceSelector"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return False
    expressions = node.get("matchExpressions")
    keys = [e.get("key") for e in expressions if isinstance(e, dict)] if isinstance(expressions, list) else []
    labels = node.get("matchLabels")
    return PROJECT_LABEL in [*keys, *(labels if isinstance(labels, dict) else {})]


def _document(path: Path) -> Document:
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _changed: int) -> Document:
    return load_documents(path, shown(path))
