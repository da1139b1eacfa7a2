"""What components had before they had projects, and its move into a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.progress import Silent
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.run import run_job
from mlops_platform.steps.projects.scripts import imports_job, result_of

Item = tuple[str, str]  # kind and name


def components_with_imports(context: Context) -> list[ResolvedComponent]:
    """The chosen components that had data before they had projects."""
    parts = ((each, each.component.projects) for each in context.resolved.values())
    return [each for each, part in parts if part and part.imports]


def by_component(context: Context, texts: Sequence[str]) -> dict[str, list[Item]]:
    """The items of each component, from KIND/NAME. Raises UsageError with every wrong text."""
    kinds = {kind: each.name for each in components_with_imports(context) for kind in _kinds(each)}
    found: dict[str, list[Item]] = {}
    wrong = []
    for text in dict.fromkeys(texts):
        kind, _, name = text.partition("/")
        if kind in kinds and name:
            found.setdefault(kinds[kind], []).append((kind, name))
        else:
            wrong.append(text)
    if wrong:
        raise UsageError(
            f"not an item: {', '.join(wrong)}",
            hint=f"write KIND/NAME, with a kind of: {', '.join(sorted(kinds)) or 'no component has any'}",
        )
    return found


@dataclass(frozen=True)
class Imports:
    """What can be moved into a project, and the move."""

    context: Context
    project: str

    def found(self) -> list[dict[str, str]]:
        """The items of all components: kind, name, and a few words."""
        found: list[dict[str, str]] = []
        for resolved in components_with_imports(self.context):
            found += self._run(resolved, "list", ())["items"]
        return found

    def move(self, items: Mapping[str, Iterable[Item]]) -> list[str]:
        """Move the items; return a line for each. Raises StepError with all reasons of a component."""
        moved: list[str] = []
        for name, wanted in items.items():
            found = self._run(self.context.resolved[name], "import", tuple(wanted))
            if reasons := found.get("refused"):
                raise StepError(
                    f"{name} cannot move this into project {self.project}; nothing was changed",
                    why="\n".join(reasons),
                )
            moved += found["moved"]
        return moved

    def _run(self, resolved: ResolvedComponent, action: str, items: Sequence[Item]) -> dict[str, Any]:
        job = imports_job(resolved, action, self.project, items)
        log = run_job(self.context.clients.kube_for_write(), job, Silent(), self.context.cancel)
        return result_of(log, "RESULT ")


def _kinds(resolved: ResolvedComponent) -> Sequence[str]:
    part = resolved.component.projects
    return part.imports.kinds if part and part.imports else ()
