"""`reap`: take down every environment whose time to live is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.base.errors import PlatformError
    from mlops_platform.clusters.leftovers import RemoteEnvironment


def run(console: Console, *, region: str, dry_run: bool) -> int:
    from mlops_platform.base.errors import Interrupted, PlatformError
    from mlops_platform.base.ttl import expired
    from mlops_platform.console.screens import environments
    from mlops_platform.run.remote import remotes

    found = remotes(region)
    due = [each for each in found if expired(each.expires)]
    others = len(found) - len(due)
    if dry_run or not due:
        text = environments(due, datetime.now(UTC)) + f"\n\n  {len(due)} expired, {others} left alone"
        names = [each.name for each in due]
        return console.done({"expired": names, "left_alone": others, "reaped": []}, text)
    done: dict[str, Any] = {}
    failed: dict[str, PlatformError] = {}
    for each in due:
        try:
            if taken := _one(console, each):
                done[each.name] = taken
        except Interrupted:
            raise
        except PlatformError as error:  # a failure must not keep the others running
            failed[each.name] = error
            console.say(f"! {each.name}: {error}")
    data = {"expired": [each.name for each in due], "left_alone": others, "reaped": list(done)}
    if failed:
        console.add(data | {"failed": list(failed)})
        raise next(iter(failed.values()))
    return console.done(data, f"{len(done)} reaped: {', '.join(done)}; {others} left alone")


def _one(console: Console, each: RemoteEnvironment) -> dict[str, Any]:
    """Take one environment down; empty if its time to live was extended in the meantime."""
    from mlops_platform.base.ttl import expired
    from mlops_platform.commands.down import require_unprotected, take_down
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.remote import open_recorded, remotes
    from mlops_platform.teardown.verify import DownOptions

    now = next((e for e in remotes(each.region) if e.name == each.name), None)
    if now is None or not expired(now.expires):
        return {}
    console.environment = each.name
    opened, options = open_recorded(now), DownOptions()
    require_unprotected(read_only(opened), options)
    taken = take_down(console, opened, options)
    console.text(taken.text)
    return taken.data
