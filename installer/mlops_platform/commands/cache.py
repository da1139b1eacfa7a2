"""`cache show`, `cache prune`, `cache export`, `cache import` and `cache key`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.errors import ConfigurationError, Exit, StepError, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.adapters.cachefile import Wanted
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
    from mlops_platform.report.cache import prune
    from mlops_platform.report.cache_needs import needs

    paths = Paths.default()
    kept = () if everything else needs(_contexts(console, paths, strict=True))
    removed = prune(paths, kept, everything=everything)
    return console.done(_data(removed, str(paths.cache)), screens.pruned(removed))


def run_export(console: Console, target: str, *, everything: bool, force: bool) -> int:
    """Write the entries that an environment needs, or all, into a file."""
    from mlops_platform import __version__
    from mlops_platform.adapters.buildonce import no_pruning
    from mlops_platform.adapters.cachefile import STREAM, save, survey, written
    from mlops_platform.base.paths import Paths
    from mlops_platform.console import cache as screens
    from mlops_platform.console.transfer import Transfers

    if target == STREAM and console.json:
        raise UsageError("- cannot be combined with --output json: both write to stdout", hint="name a file")
    paths = Paths.default()
    wanted, name = _wanted(console, paths, everything=everything)
    with no_pruning(paths.cache), written(target, sys.stdout.buffer, force=force) as out:
        index, missing = survey(paths.cache, wanted, __version__)
        if not index.entries:
            raise StepError(
                f"the cache has nothing of {name}",
                why=f"looked in {paths.cache}",
                hint="bring it up first: `up` builds what it needs",
                command=f"mlops-platform up --env {name}" if not everything else "",
            )
        with Transfers(console).shown() as shown, shown.file(target, index.size) as file:
            saved = save(index, paths.cache, out, file.moved)
            file.size = saved.size
    data = {"file": target, "bytes": saved.size, "sha256": saved.sha256, "missing": missing, **index.names}
    text = screens.exported(target, saved.sha256, index.names, missing, name)
    if target == STREAM:
        console.say(text)
        return Exit.DONE
    return console.done(data, text)


def run_key(console: Console) -> int:
    """Print the name that changes if `up` would build something else."""
    from mlops_platform.base.paths import Paths

    wanted, _ = _wanted(console, Paths.default(), everything=False)
    return console.done({"key": wanted.key}, wanted.key)


def _wanted(console: Console, paths: Paths, *, everything: bool) -> tuple[Wanted, str]:
    """The entries to export, and the environment's name for the screen."""
    from mlops_platform.adapters.cachefile import Wanted
    from mlops_platform.report.cache_needs import wanted_by
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import open_environment

    if everything:
        return Wanted.everything(paths.cache), "any environment"
    opened = open_environment(console.environment, paths)
    console.environment = opened.environment.name
    return wanted_by(read_only(opened)), opened.environment.name


def run_import(console: Console, source: str, sha256: str) -> int:
    """Read a file of `cache export` into the cache; skip what is there."""
    from mlops_platform.adapters.cachefile import load, opened, other_go
    from mlops_platform.base.paths import Paths
    from mlops_platform.commands._again import continued
    from mlops_platform.console import cache as screens
    from mlops_platform.console.transfer import Lines, Transfers

    cache = Paths.default().cache
    digest = _digest(sha256)
    again = shlex.join(
        ["mlops-platform", "cache", "import", source, *(["--sha256", sha256] if sha256 else [])]
    )
    with continued(again), opened(source, sys.stdin.buffer) as incoming:
        if digest:
            incoming.require_digest(digest)
        with Transfers(console).shown() as shown, shown.file(source, incoming.index.size) as file:
            incoming.moved = file.moved
            loaded = load(incoming, cache, Lines(console))
            file.equal = not loaded.new
    note = other_go(incoming.index)
    if note:
        console.say(f"! {note}")
    data = {"folder": str(cache), "new": loaded.new, "there": loaded.there, "note": note}
    return console.done(data, screens.imported(str(cache), loaded))


def _digest(text: str) -> str:
    """The hexadecimal digits of --sha256; '' without it."""
    digits = text.removeprefix("sha256:").lower()
    if text and not re.fullmatch("[0-9a-f]{64}", digits):
        raise UsageError(
            f"--sha256 {text[:80]}: not a SHA-256", hint="give the 64 digits that `cache export` printed"
        )
    return digits


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
