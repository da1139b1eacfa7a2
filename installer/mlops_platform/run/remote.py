"""Environments made on another machine: found by their tags, opened from their record."""

from __future__ import annotations

from mlops_platform import clusters
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.clusters.leftovers import RemoteEnvironment
from mlops_platform.run.open import RECORDED, Opened, open_environment, open_file


def remotes(region: str) -> tuple[RemoteEnvironment, ...]:
    """All environments that all providers find in a region; '' is the default region of the provider."""
    return tuple(each for find in clusters.remotes() for each in find(region))


def open_anywhere(name: str, region: str) -> Opened:
    """Open an environment from its file or, if this machine has none, from its record.

    Raises UsageError if neither exists.
    """
    try:
        return open_environment(name, lenient=True)
    except UsageError as error:
        found = next((each for each in remotes(region) if each.name == name), None) if region else None
        if found is None:
            error.hint = f"{error.hint}; if it was made on another machine, add --region"
            raise
        return open_recorded(found)


def open_recorded(found: RemoteEnvironment) -> Opened:
    """Open from the file in the record, and copy it here. Raises StepError if there is no record."""
    if not found.file:
        raise StepError(
            f"{found.name} has no record",
            why=f"{found.objects} objects have its tag, and there is no record of their owner",
            hint="check them, and delete them by hand",
            command=f"aws resourcegroupstaggingapi get-resources --region {found.region}",
        )
    paths = Paths.default()
    state = paths.environment(found.name)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = state / RECORDED
    file.write_text(found.file)
    return open_file(file, found.name, paths, lenient=True)
