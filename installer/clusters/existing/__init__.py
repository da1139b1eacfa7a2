"""Owns the `existing` cluster provider: a cluster that somebody else made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from installer.adapters.programs import Programs
    from installer.clusters.base import ClusterProvider
    from installer.clusters.existing.options import Options
    from installer.environment import ClusterSpec


def options_model() -> type[Options]:
    from installer.clusters.existing.options import Options

    return Options


def make(
    spec: ClusterSpec,
    environment: str,
    state: Path,
    programs: Programs,
    run: str = "",  # noqa: ARG001 - nothing it makes is marked with the run
) -> ClusterProvider:
    """The provider of one environment; the kubeconfig is not read yet."""
    from installer.adapters.registry import Registry
    from installer.clusters.existing.options import Options
    from installer.clusters.existing.provider import ExistingProvider

    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    registry = Registry(programs, lambda: spec.registry) if spec.registry else None
    return ExistingProvider(environment, state, spec, registry=registry)
