"""Options of an environment on a node of this machine."""

from __future__ import annotations

from pydantic import Field

from mlops_platform.environment.model import ClusterSpec


class Options(ClusterSpec):
    """The `cluster:` section of an environment on a node of this machine."""

    simulated_gpus: int = Field(
        default=0,
        ge=0,
        le=64,
        description="GPUs that the node advertises without hardware, to try quota, queues and scheduling",
    )
