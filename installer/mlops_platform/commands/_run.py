"""One run of a command: lock, journal, signals, lease, engine, and the record of its result."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlops_platform import __version__
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Exit, Interrupted, PlatformError
from mlops_platform.base.humanize import plural
from mlops_platform.base.signals import cancelling
from mlops_platform.console import Console
from mlops_platform.console.failure import OUTCOMES, FailureContext
from mlops_platform.console.news import News
from mlops_platform.engine.engine import Engine, RunResult
from mlops_platform.engine.graph import Graph
from mlops_platform.engine.journal import Journal, Redactor, RunRecord, expected_seconds, runs
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.lock import HostLock, LeaseLock, locked
from mlops_platform.run.open import Opened

_COMPARED_RUNS = 5  # earlier runs that are read for the expected seconds of each step


@dataclass(frozen=True)
class Run:
    """A run in progress: its context, and the method that runs a graph in it."""

    context: Context
    journal: Journal
    console: Console
    expected: dict[str, float]
    results: list[RunResult] = field(default_factory=list)

    def engine(
        self, graph: Graph, workers: int = 16, news: Mapping[str, Sequence[str]] | None = None
    ) -> RunResult:
        """Run a graph and show it; `news` are lines to print when a step is done.

        Raises the first failure; its message lists the others.
        """
        listener = self.console.listener(header(self.context, self.journal), self.expected)
        listeners = (listener, News(self.console.say, news or {}))
        result = Engine(graph, self.journal, listeners, self.context.cancel, workers).run()
        self.results.append(result)
        if result.failures or result.skipped:
            self.console.ended(_failure_context(result, self.journal), counts(result))
            if any(not isinstance(failure.error, Interrupted) for failure in result.failures):
                result.raise_first()
            raise Interrupted("interrupted", hint="run the same command again to continue")
        return result


@contextmanager
def running(console: Console, opened: Opened) -> Iterator[Run]:
    """Surround a command with lock, journal and signals. Raises LockedError if another run has the lock."""
    name, state = opened.environment.name, opened.state
    command = shlex.join(["mlops-platform", *sys.argv[1:]])
    cancel = Cancel()
    # Active before the journal exists and until its last line, so that an interrupted run is recorded as
    # such.
    with cancelling(cancel, _notice(console)), HostLock(state, name, command):
        earlier = list(runs(state, newest=_COMPARED_RUNS))
        redactor = Redactor()
        console.redact = redactor.clean
        journal = Journal.start(state, command, name, __version__, redactor)
        opened.record()
        lease = _Lease(name, command, cancel, journal, console)
        context = context_of(opened, cancel, journal.folder, lease.take, redactor.add)
        _note_dead_run(earlier, journal, console)
        run = Run(context, journal, console, expected_seconds(earlier))
        code = Exit.BUG
        try:
            yield run
            code = Exit.DONE
        except PlatformError as error:
            code = error.exit_code
            if isinstance(error, Interrupted) and lease.lost:
                code = Exit.LOCKED
                raise locked(name, lease.lost) from error
            raise
        finally:
            lease.release()
            journal.write("run_finished", outcome=OUTCOMES[code], exit_code=int(code), **_record(run))


def header(context: Context, journal: Journal) -> str:
    """The line above the list of steps."""
    components = plural(len(context.components), "component")
    where = journal.folder.relative_to(context.state)
    cluster = " · ".join(filter(None, (f"{context.cluster.name} cluster", context.cluster.simulated)))
    return f"{context.environment.name} · {cluster} · {components} · journal {where}"


def counts(result: RunResult) -> dict[str, Any]:
    """A run's counts, for the envelope and the journal."""
    return {
        "changed": len(result.done),
        "unchanged": len(result.unchanged),
        "failed": len(result.failures),
        "skipped": len(result.skipped),
        "seconds": round(result.seconds, 3),
    }


def _record(run: Run) -> dict[str, Any]:
    if not run.results:
        return {}
    last = run.results[-1]
    return {
        **counts(last),
        "critical_path": list(last.critical_path),
        "critical_seconds": round(last.critical_seconds, 3),
    }


def _failure_context(result: RunResult, journal: Journal) -> FailureContext:
    real = [f for f in result.failures if not isinstance(f.error, Interrupted)]
    failures = real or list(result.failures)
    return FailureContext(
        journal=journal.folder,
        step=failures[0].step if failures else "",
        others=[f"{f.step}: {f.error}" for f in failures[1:]],
        skipped=len(result.skipped),
        stays_up=bool(real),
    )


def _note_dead_run(earlier: list[RunRecord], journal: Journal, console: Console) -> None:
    """Print a note about a killed run. That is no error: this run continues from its state."""
    if not earlier or not earlier[0].dead:
        return
    steps = ", ".join(earlier[0].unfinished_steps)
    text = f"run {earlier[0].folder.name} died{' in ' + steps if steps else ''}; continuing from there"
    journal.write("run_note", text=text)
    console.say(f"! {text}")


def _notice(console: Console) -> Callable[[bool], None]:
    def notify(forced: bool) -> None:
        console.say(
            "! stopping now"
            if forced
            else "! interrupted: finishing running steps; interrupt again to stop at once"
        )

    return notify


class _Lease:
    """The lease of one run, taken before the run's first change in the cluster."""

    def __init__(
        self, environment: str, command: str, cancel: Cancel, journal: Journal, console: Console
    ) -> None:
        self._environment, self._command, self._cancel = environment, command, cancel
        self._journal, self._console = journal, console
        self._held: LeaseLock | None = None

    def take(self, kube: Any) -> None:
        lease = LeaseLock(kube, self._environment, self._command, self._cancel)
        took = lease.acquire()
        self._held = lease
        if took:
            self._journal.write("run_note", text=took)
            self._console.say(f"! {took}")

    @property
    def lost(self) -> str:
        return self._held.lost if self._held else ""

    def release(self) -> None:
        """Release the lease. If the cluster is gone, so is the lease; if another run has it, leave it."""
        if not self._held:
            return
        try:
            self._held.release()
        except PlatformError as error:
            self._journal.write("run_note", text=f"the lease was not released: {error.what}")
