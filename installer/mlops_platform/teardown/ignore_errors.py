"""`down --force`: a step that fails is noted, and the teardown continues."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.errors import PreflightError, StepError
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference, Step


@dataclass(frozen=True)
class IgnoreErrors:
    """A step whose failure does not stop the run; the sweep and the verification find what it left."""

    step: Step

    @property
    def id(self) -> str:
        return self.step.id

    @property
    def layer(self) -> str:
        return self.step.layer

    def observe(self) -> Difference | None:
        try:
            return self.step.observe()
        except (StepError, PreflightError) as error:
            return Difference(f"cannot be observed: {error.what}")

    def run(self, progress: Progress) -> None:
        try:
            self.step.run(progress)
        except (StepError, PreflightError) as error:
            why = error.why.splitlines()[-1] if error.why else ""
            progress.note(f"ignored because of --force: {error.what}{': ' if why else ''}{why}")
