"""Owns what a bundle changes in a component: its image, its values, the ConfigMap a folder becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.labels import OWNED
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue.bundle import Bundle, files
from mlops_platform.catalogue.catalogue import Component, values_file

if TYPE_CHECKING:
    from mlops_platform.run.context import Context

_ITEMS = "${items}"


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
    labels = OWNED
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "labels": labels}, "data": data}


def values(context: Context, component: Component, template_variables: Mapping[str, str]) -> dict[str, Any]:
    """What the bundle changes in the component's values; its folder's `bundles` file says what."""
    bundle = context.environment.components[component.name].bundle
    if not bundle:
        return {}
    embedded = context.in_tree(component)
    if bundle.image and embedded != ("/" not in bundle.image):
        what = "only recipes run here" if embedded else "a recipe is no image in a registry"
        place = f"components.{component.name}.bundle.image"
        raise ConfigurationError((Problem(context.environment.name, 0, f"{place}: {what}"),))
    kinds = values_file(context.catalog.folder(component.name) / component.bundles)
    parts = kinds["embedded" if embedded else "chart"]
    known = {**template_variables, **_words(bundle)}
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
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files(folder)}


def _key(name: str) -> str:
    """A ConfigMap's keys have no slashes."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
