"""Owns the `existing` cluster provider: a cluster that somebody else made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Programs
    from mlops_platform.clusters.base import ClusterProvider
    from mlops_platform.clusters.existing.options import Options
    from mlops_platform.environment.model import ClusterSpec


def options_model() -> type[Options]:
    from mlops_platform.clusters.existing.options import Options

    return Options


def make(
    spec: ClusterSpec,
    environment: str,
    state: Path,
    programs: Programs,
    run: str = "",  # noqa: ARG001 - nothing it makes is marked with the run
) -> ClusterProvider:
    """The provider of one environment; the kubeconfig is not read yet."""
    from mlops_platform.adapters.registry import Registry
    from mlops_platform.clusters.existing.options import Options
    from mlops_platform.clusters.existing.provider import ExistingProvider

    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    registry = Registry(programs, lambda: spec.registry) if spec.registry else None
    return ExistingProvider(environment, state, spec, registry=registry)
