"""The data of a project, opened for transfers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import SERVER, TRAINER
from mlops_platform.run.context import Context
from mlops_platform.steps.projects.cluster import find
from mlops_platform.steps.projects.data import require_data

if TYPE_CHECKING:
    from mlops_platform.adapters.s3 import Bucket


@contextmanager
def opened(context: Context, project: str, *, writes: bool = False) -> Iterator[Bucket]:
    """Open a project's data for the block, as its account that writes or only reads.

    Raises UsageError without an object store or project, StepError.
    """
    data = require_data(context)
    if find(context, context.clients.kube, project) is None:
        raise UsageError(
            f"{context.environment.name} has no project {project}",
            command=f"mlops-platform project list --env {context.environment.name}",
        )
    with data.opened(context, project, TRAINER if writes else SERVER) as bucket:
        yield bucket
