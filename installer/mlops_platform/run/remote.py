"""Owns environments made from another machine: found by their tags, opened from what they recorded."""

from __future__ import annotations

from mlops_platform import clusters
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.clusters.base import RemoteEnvironment
from mlops_platform.run.open import RECORDED, Opened, open_environment, open_file


def remotes(region: str) -> tuple[RemoteEnvironment, ...]:
    """Every environment every provider finds in a region; '' is the one its own tools would take."""
    return tuple(each for find in clusters.remotes() for each in find(region))


def open_anywhere(name: str, region: str) -> Opened:
    """An environment by its file; where there is none on this machine, by the one it was made from.

    Raises UsageError when it is found nowhere.
    """
    try:
        return open_environment(name, lenient=True)
    except UsageError as error:
        found = next((each for each in remotes(region) if each.name == name), None) if region else None
        if found is None:
            error.hint = f"{error.hint}; of one made elsewhere say its --region"
            raise
        return open_recorded(found)


def open_recorded(found: RemoteEnvironment) -> Opened:
    """From the file in its record, which is kept here from now on. Raises StepError without a record."""
    if not found.file:
        raise StepError(
            f"{found.name} has no record",
            why=f"{found.objects} objects have its tag, and nothing says whose they are",
            hint="look at them, and delete them by hand",
            command=f"aws resourcegroupstaggingapi get-resources --region {found.region}",
        )
    paths = Paths.default()
    state = paths.environment(found.name)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = state / RECORDED
    file.write_text(found.file)
    return open_file(file, found.name, paths, lenient=True)
