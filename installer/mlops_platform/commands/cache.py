"""`cache show` and `cache prune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.errors import ConfigurationError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.base.paths import Paths
    from mlops_platform.report.cache import Entry
    from mlops_platform.run.context import Context


def run_show(console: Console) -> int:
    from mlops_platform.base.paths import Paths
    from mlops_platform.console import screens
    from mlops_platform.report.cache import show

    paths = Paths.default()
    entries = show(paths, _contexts(console, paths, strict=False))
    return console.done(_data(entries, str(paths.cache)), screens.cache(str(paths.cache), entries))


def run_prune(console: Console, *, everything: bool) -> int:
    """Remove entries that no environment uses; fail if an environment file has mistakes."""
    from mlops_platform.base.paths import Paths
    from mlops_platform.console import screens
    from mlops_platform.report.cache import keys, prune

    paths = Paths.default()
    kept = () if everything else keys(_contexts(console, paths, strict=True))
    removed = prune(paths, kept, everything=everything)
    return console.done(_data(removed, str(paths.cache)), screens.pruned(removed))


def _contexts(console: Console, paths: Paths, *, strict: bool) -> list[Context]:
    """The contexts of all shipped and own environments, and of those that were made on this machine."""
    from mlops_platform.environment.file import available
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import RECORDED, open_environment, shipped_environments

    made = [file.parent.name for file in paths.home.glob(f"*/{RECORDED}")]
    contexts = []
    for name in sorted({*available(shipped_environments()), *made}):
        try:
            contexts.append(read_only(open_environment(name, paths)))
        except ConfigurationError as error:
            if strict:
                raise
            console.say(f"! {name}: {error.what}: its cache entries are not known")
    return contexts


def _data(entries: Sequence[Entry], folder: str) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "folder": folder,
        "size": sum(e.size for e in entries),
        "entries": [asdict(e) for e in entries],
    }
