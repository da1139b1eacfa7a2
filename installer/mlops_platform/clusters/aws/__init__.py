"""Owns the `aws` cluster provider: EKS made by Terraform, in an account that may hold other things too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_platform.adapters.programs import Programs
    from mlops_platform.clusters.aws.options import Options
    from mlops_platform.clusters.base import ClusterProvider, RemoteEnvironment
    from mlops_platform.environment.model import ClusterSpec


def options_model() -> type[Options]:
    from mlops_platform.clusters.aws.options import Options

    return Options


def make(
    spec: ClusterSpec,
    environment: str,
    state: Path,
    programs: Programs,
    run: str = "",
) -> ClusterProvider:
    """The provider of one environment; no call leaves this machine yet."""
    from mlops_platform.clusters.aws.options import Options
    from mlops_platform.clusters.aws.provider import AwsProvider

    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    return AwsProvider(environment, state, spec, run, built_programs=programs)


def remotes(region: str) -> Sequence[RemoteEnvironment]:
    """Every environment of this account in a region that has our tag; '' is the region of the user's own
    configuration. Raises UsageError when there is none."""
    from mlops_platform.clusters.aws.environments import remotes as look

    return look(region)
