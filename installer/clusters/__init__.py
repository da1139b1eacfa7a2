"""Owns the cluster providers: one module or package each, found by its name, each with `make`."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.adapters.programs import Programs
    from installer.clusters.base import ClusterProvider
    from installer.environment import ClusterSpec


def names() -> tuple[str, ...]:
    """What `cluster.provider` may say, without importing any of them."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs) -> ClusterProvider:
    """The provider an environment asks for; the environment file has been checked against names()."""
    module = importlib.import_module(f"{__name__}.{spec.provider}")
    provider: ClusterProvider = module.make(spec, environment, state, programs)
    return provider
