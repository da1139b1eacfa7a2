"""Owns the `host` cluster provider: a real Kubernetes node on this machine, in namespaces of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Programs
    from mlops_platform.clusters.base import ClusterProvider
    from mlops_platform.environment.model import ClusterSpec


def make(
    spec: ClusterSpec,
    environment: str,
    state: Path,
    programs: Programs,
    run: str = "",  # noqa: ARG001 - nothing it makes is marked with the run
) -> ClusterProvider:
    """The provider of one environment. Raises ConfigurationError for a Kubernetes version not pinned here."""
    # PID 1 of the node lives in this package too: what it does not need is imported here, not above.
    from mlops_platform.adapters.images import Images, find_recipes
    from mlops_platform.clusters.host.provider import RECIPES, HostProvider
    from mlops_platform.clusters.host.version import refuse_other_version

    refuse_other_version(spec.version, environment)
    images = Images(programs.cache, programs, find_recipes(RECIPES))
    return HostProvider(environment, state, programs, images)
