"""Steps that fetch or build programs and images into the shared cache."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.programs import Program
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import EnvironmentStep

PROGRAMS, IMAGES = "programs", "images"


@dataclass(frozen=True)
class BuildProgram(EnvironmentStep):
    """Go tools of one pinned module, built once into the cache."""

    program: Program

    path = "program/{0.program.name}"
    layer = PROGRAMS

    def observe(self) -> Difference | None:
        programs = self.context.programs
        if programs.built(self.program):
            return None
        return Difference("fetch" if programs.fetched(self.program) else "build")

    def run(self, progress: Progress) -> None:
        self.context.programs.build(self.program, progress, self.context.cancel)


@dataclass(frozen=True)
class BuildImage(EnvironmentStep):
    """One recipe's image, rebuilt only when the recipe's digest changes."""

    name: str

    path = "image/{0.name}"
    layer = IMAGES

    def observe(self) -> Difference | None:
        return None if self.context.images.built(self.name) else Difference("build")

    def run(self, progress: Progress) -> None:
        self.context.images.build(self.name, progress, self.context.cancel)
