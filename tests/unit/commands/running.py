"""A process with a run of small steps, for tests of signals and kills."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.base import signals as interrupts
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, StepError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.cli import guarded
from mlops_platform.commands._run import counts, running
from mlops_platform.console import Console, Output
from mlops_platform.engine.graph import Difference, Graph, chain
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.open import Opened

STUBBORN_SECONDS = 0.3  # instead of 15 seconds


@dataclass(frozen=True)
class Waits:
    """A step that reports its start, then waits in the way that `manners` names."""

    cancel: Cancel
    manners: str
    id: str = "test/wait"
    layer: str = "test"

    def observe(self) -> Difference:
        return Difference("wait")

    def run(self, progress: Progress) -> None:
        progress.note("it runs")
        if self.manners == "polite":
            self.cancel.pause(60)
        elif self.manners == "finishes":  # ignores the signal and finishes its work
            while not self.cancel.requested:
                threading.Event().wait(0.01)
        elif self.manners == "busy":  # stops only when forced
            while not self.cancel.forced:
                threading.Event().wait(0.01)
            raise Interrupted("stopped in the middle")
        elif self.manners == "bug":
            raise ZeroDivisionError("a mistake of ours")
        elif self.manners == "fails":
            raise StepError("it broke", why="seen", hint="fix it", command="true")
        else:
            threading.Event().wait(60)


@dataclass(frozen=True)
class Next:
    """A step that must not start after a run was interrupted."""

    id: str = "test/next"
    layer: str = "test"

    def observe(self) -> Difference:
        return Difference("go on")

    def run(self, progress: Progress) -> None: ...


def opened(home: Path) -> Opened:
    """An environment without components, so that no catalogue is needed."""
    file = home.parent / "signals.yaml"
    file.write_text("")
    chosen = Environment(
        name="signals",
        domain="mlops.localhost",
        cluster=ClusterSpec(provider="host"),
        components={"none": ComponentSpec()},
    )
    paths = Paths(home, home.parent / "cache", Paths.default().assets)
    return Opened(paths, Catalog(), chosen, file, file.parent)


def main(home: Path, manners: str) -> int:
    if manners == "deaf":
        interrupts.GIVE_UP_SECONDS = STUBBORN_SECONDS
    if manners != "finishes":
        interrupts.TOGETHER_SECONDS = 0.0

    def act(console: Console) -> int:
        with running(console, opened(home)) as run:
            result = run.engine(Graph.of(chain(Waits(run.context.cancel, manners), Next())))
        return console.done(counts(result))

    return guarded(Console("up", "signals", Output.JSON), act)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
