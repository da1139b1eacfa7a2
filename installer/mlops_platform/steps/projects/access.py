"""Access of projects to their data in the object store of the cloud."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.digest import short_digest
from mlops_platform.base.humanize import plural
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.managed import ManagedData
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.steps.projects import cluster
from mlops_platform.steps.projects.keep import LAYER
from mlops_platform.steps.projects.model import Project
from mlops_platform.steps.projects.rights import ACCOUNTS
from mlops_platform.steps.projects.scripts import SYNCED

_DONE = f"{SYNCED}data"  # annotation of the namespace: the digest of what was granted
_WRITES = {account: role == "edit" for account, role in ACCOUNTS.items()}


@dataclass(frozen=True)
class GrantData(EnvironmentStep):
    """Give pods of every project access to its data."""

    service: ManagedData

    path = "projects/data"
    layer = LAYER

    def _digest(self, project: Project) -> str:
        return short_digest([self.service.uri(project.name), _WRITES])

    def _lacking(self) -> list[Project]:
        every = cluster.projects(self.context, self.context.clients.kube)
        wrong = (each for each in every if each.annotations.get(_DONE) != self._digest(each))
        return [each for each in wrong if not each.removing]

    def observe(self) -> Difference | None:
        found = self._lacking()
        return Difference(f"grant access to the data of {plural(len(found), 'project')}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for project in self._lacking():
            progress.say(project.name)
            self.service.grant(project.name, _WRITES)
            done = {"metadata": {"annotations": {_DONE: self._digest(project)}}}
            kube.patch("v1", "Namespace", project.name, body=done)


@dataclass(frozen=True)
class RemoveData(EnvironmentStep):
    """End the access of a project, and delete its data."""

    service: ManagedData
    name: str
    keep_data: bool

    path = "projects/data"
    layer = LAYER

    def observe(self) -> Difference | None:
        return Difference("end access to its data" + ("" if self.keep_data else ", and delete the data"))

    def run(self, progress: Progress) -> None:
        removed = self.service.remove(self.name, keep_data=self.keep_data)
        progress.note(f"removed {plural(removed, 'object')} of the data")
