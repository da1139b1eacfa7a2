"""The step that runs a smoke test once for each digest; its result is stored, and `up` skips it next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.progress import Progress
from mlops_platform.engine import stored_results
from mlops_platform.engine.graph import Difference
from mlops_platform.engine.result import Result, save
from mlops_platform.run.context import Context


class SmokeTest(Protocol):
    """Positive and negative tests with one stored result.

    `name` is the key of the result; `what` describes the test in the plan; `digest` covers all that the
    result depends on: another digest runs the test again. `error` describes the failed results.
    """

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def run(self, kube: Kube, progress: Progress) -> list[Result]: ...
    def error(self, results: Sequence[Result]) -> SmokeError: ...


@dataclass(frozen=True)
class Verify:
    """Run a smoke test unless it has passed with the same digest; `always` runs it in any case."""

    context: Context
    test: SmokeTest
    always: bool = False

    @property
    def id(self) -> str:
        return self.test.id

    @property
    def layer(self) -> str:
        return self.test.layer

    def observe(self) -> Difference | None:
        test = self.test
        if self.always or not stored_results.passed(self.context.clients.kube, test.name, test.digest):
            return Difference(test.what)
        return None

    def run(self, progress: Progress) -> None:
        test, kube = self.test, self.context.clients.kube_for_write()
        results = test.run(kube, progress)
        save(self.context.run_folder, test.name, results)
        stored_results.write(kube, test.name, test.digest, results)
        if any(not result.ok for result in results):
            raise test.error(results)
