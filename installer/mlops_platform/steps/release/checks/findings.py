"""A finding of a check, and what a component's release may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.catalogue.component import Component

Object = Mapping[str, Any]
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """Something that a release must not have; `place` is the key of component.yaml that decides about it."""

    place: Place
    what: str
    hint: str = ""


@dataclass(frozen=True)
class Bounds:
    """The limits of a release: its component, the pod-security level, and the images that are built here."""

    component: Component
    level: str
    images: frozenset[str] = frozenset()

    @property
    def namespace(self) -> str:
        return self.component.namespace

    @property
    def source(self) -> Place:
        """The key of the release's source."""
        return ("module",) if self.component.module else ("kustomize",)

    @property
    def settings(self) -> str:
        """The place of settings, for hints."""
        return "values.yaml" if self.component.module else "the tree"


def title(each: Object) -> str:
    """Kind and name of an object."""
    return f"{each['kind']} {each['metadata']['name']}"
