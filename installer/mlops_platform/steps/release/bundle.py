"""A bundle (user code such as DAGs) of a component: its values, and the ConfigMap made from its folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue.bundle import Bundle, files
from mlops_platform.catalogue.documents import values_file
from mlops_platform.engine.graph import Difference
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.base import ComponentStep

_ITEMS = "${items}"


@dataclass(frozen=True)
class PutBundle(ComponentStep):
    """The environment's folder of user code, as a ConfigMap that pods mount."""

    act = "bundle"

    def observe(self) -> Difference | None:
        wanted = config_map(self.resolved)
        meta = wanted["metadata"]
        found = self.context.clients.kube.get("v1", "ConfigMap", meta["name"], meta["namespace"])
        if not found:
            return Difference(f"copy {len(wanted['data'])} files")
        old, new = found.get("data") or {}, wanted["data"]
        changed = sum(old.get(key) != new.get(key) for key in old.keys() | new.keys())
        return Difference(f"copy again: {changed} files differ") if changed else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write().apply(config_map(self.resolved))


def config_map(resolved: ResolvedComponent) -> dict[str, Any]:
    """The folder of a bundle as a ConfigMap in the component's namespace.

    Pods see a changed file within about a minute. A new file changes the list of files, which restarts pods.
    """
    assert resolved.bundle, "planned only for a folder"
    meta = {"name": f"{resolved.name}-bundle", "namespace": resolved.namespace, "labels": OWNED}
    data = {_key(name): text for name, text in _texts(resolved.bundle).items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def values(resolved: ResolvedComponent) -> dict[str, Any]:
    """The values that a bundle changes; the file that `bundles` names lists them for each kind of bundle."""
    bundle = resolved.spec.bundle
    if not bundle:
        return {}
    if bundle.image and resolved.in_tree != ("/" not in bundle.image):
        what = "only recipes run here" if resolved.in_tree else "a recipe is not an image in a registry"
        place = f"components.{resolved.name}.bundle.image"
        raise ConfigurationError((Problem(resolved.environment, 0, f"{place}: {what}"),))
    kinds = values_file(resolved.folder / resolved.component.bundles)
    parts = kinds["embedded" if resolved.in_tree else "chart"]
    changed: dict[str, Any] = merge(parts[bundle.kind], {})
    if bundle.git and bundle.git.secret:
        changed = merge(changed, parts["secret"])
    names = _texts(resolved.bundle) if resolved.bundle else {}
    items = [{"key": _key(name), "path": name} for name in names]
    variables = {**resolved.variables, **_variables(bundle)}
    filled: dict[str, Any] = substitute(_with_items(changed, items), variables)
    return filled


def _variables(bundle: Bundle) -> dict[str, str]:
    git = bundle.git
    if not git:
        name, _, tag = bundle.image.rpartition(":")
        return {"repository": name, "tag": tag}
    return {"url": git.url, "ref": git.ref, "path": git.path, "secret": git.secret or ""}


def _with_items(value: Any, items: list[dict[str, str]]) -> Any:
    if value == _ITEMS:
        return items
    if isinstance(value, dict):
        return {key: _with_items(each, items) for key, each in value.items()}
    return [_with_items(each, items) for each in value] if isinstance(value, list) else value


def _texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files(folder)}


def _key(name: str) -> str:
    """A key of the ConfigMap for a path: keys have no slashes."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
