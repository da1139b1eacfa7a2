"""Terraform with the root `objects` in a temporary folder; ends the processes that a test started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.terraform.runner import recorded_process, session
from mlops_platform.adapters.wait import Pending, wait_until

ROOTS = Path(__file__).parent / "roots"


@dataclass(frozen=True)
class Site:
    """The folder `things` with the created objects, and the adapter's `folder`."""

    folder: Folder
    things: Path

    def terraform(self) -> Terraform:
        """A new adapter, as in the next command line."""
        return Terraform(self.folder.root, self.folder.path)

    def variables(self, count: int = 3, seconds: float = 0.0) -> dict[str, Any]:
        return {"folder": str(self.things), "count_of_each": count, "seconds": seconds}

    def objects(self) -> set[str]:
        return {file.name.removeprefix("object-") for file in self.things.glob("object-*")}

    def made(self) -> list[str]:
        """Names of all creations in order; an object created twice is there twice."""
        file = self.things / "made"
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def held(self) -> Iterator[None]:
        """No creation ends within this context, so that Terraform keeps running."""
        gate = self.things / "hold"
        gate.touch()
        try:
            yield
        finally:
            gate.unlink()

    def running(self, *, after: ProcessId | None = None) -> ProcessId:
        """The Terraform that started after another one; it may have ended already."""

        def observe() -> ProcessId | Pending:
            found = recorded_process(self.folder)
            return found if found and found != after else Pending("not started")

        return wait_until("Terraform", observe, seconds=60, first_delay=0.005, longest_delay=0.005)

    def until_event(self, kind: str, count: int = 3) -> None:
        """Wait for `count` events of a kind: by default one of each object of the first rank.

        An object that is not started when Terraform is stopped is not created and in no state.
        """

        def observe() -> bool | Pending:
            text = self.folder.events.read_text() if self.folder.events.exists() else ""
            seen = text.count(f'"type":"{kind}"')
            return seen >= count or Pending(f"{seen} of {count}")

        wait_until(f"{count} events {kind}", observe, seconds=60, first_delay=0.01, longest_delay=0.02)


def site_of(root: str, tmp_path: Path) -> Site:
    things = tmp_path / "things"
    things.mkdir()
    return Site(Folder(ROOTS / root, tmp_path / "terraform"), things)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = site_of("objects", tmp_path)
    yield found
    process = recorded_process(found.folder)
    for each in (process, *session(process)) if process else ():
        each.kill(signal.SIGKILL)


@pytest.fixture(autouse=True)
def no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the user's configuration: these roots need no provider and no mirror."""
    for name in [n for n in os.environ if n.startswith("TF_")]:
        monkeypatch.delenv(name)
