"""Steps that make projects, and keep them in step with the program and the components."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_platform.base.errors import UsageError
from mlops_platform.base.humanize import plural
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference, Slot
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.steps.jobs.run import run_job
from mlops_platform.steps.projects import cluster, scripts
from mlops_platform.steps.projects.model import Project

LAYER = "projects"
_SHOWN = 3  # names in one line of the screen


@dataclass(frozen=True)
class MakeProject(EnvironmentStep):
    """Make a project, or set the members and quota of one that exists."""

    project: Project

    path = "{0.project.name}/namespace"
    layer = LAYER

    def observe(self) -> Difference | None:
        kube, name = self.context.clients.kube, self.project.name
        found = cluster.find(self.context, kube, name)
        if found and found.removing:
            raise being_removed(self.context, name)
        parts = cluster.differences(self.context, kube, [self.project]).get(name)
        return Difference("; ".join(parts)) if parts else None

    def run(self, progress: Progress) -> None:
        cluster.make(self.context, self.context.clients.kube_for_write(), self.project)


@dataclass(frozen=True)
class KeepProjects(EnvironmentStep):
    """Set the objects of every project to those of this version of the program."""

    found: Slot[list[Project]] = field(default_factory=lambda: Slot("the projects"))

    path = "projects/namespaces"
    layer = LAYER

    def observe(self) -> Difference | None:
        every = cluster.projects(self.context, self.context.clients.kube)
        lasting = [each for each in every if not each.removing]
        wrong = cluster.differences(self.context, self.context.clients.kube, lasting)
        self.found.set([each for each in lasting if each.name in wrong])
        lines = [f"{name}: {part}" for name, parts in wrong.items() for part in parts]
        few = "; ".join(lines) if len(lines) <= _SHOWN else f"change {plural(len(wrong), 'project')}"
        return Difference(few, tuple(lines)) if lines else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for project in self.found.get():
            progress.say(project.name)
            cluster.make(self.context, kube, project)


@dataclass(frozen=True)
class SyncProjects(EnvironmentStep):
    """Run a component's script for projects, if its input for any of them has changed."""

    resolved: ResolvedComponent

    path = "{0.resolved.name}/projects"
    layer = LAYER

    def _projects(self) -> list[Project]:
        every = cluster.projects(self.context, self.context.clients.kube)
        return [each for each in every if not each.removing]

    def observe(self) -> Difference | None:
        names = [each.name for each in scripts.outdated(self.resolved, self._projects())]
        few = ", ".join(names) if len(names) <= _SHOWN else plural(len(names), "project")
        return Difference(f"prepare {few}") if names else None

    def run(self, progress: Progress) -> None:
        kube, every = self.context.clients.kube_for_write(), self._projects()
        log = run_job(kube, scripts.sync_job(self.resolved, every), progress, self.context.cancel)
        for line in log.splitlines():
            progress.note(line)
        for project in scripts.outdated(self.resolved, every):
            done = {scripts.annotation(self.resolved): scripts.digest(self.resolved, project)}
            kube.patch("v1", "Namespace", project.name, body={"metadata": {"annotations": done}})


def being_removed(context: Context, name: str) -> UsageError:
    return UsageError(
        f"project {name} is being removed",
        why="an earlier `project remove` has not ended",
        hint="end the removal first",
        command=f"mlops-platform project remove {name} --env {context.environment.name}",
    )
