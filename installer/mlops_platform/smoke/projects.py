"""The smoke test of projects: two temporary projects that must not see each other, tried from inside both.

A pod in each connects to every port of every component, to the API server, to the nodes, and to a pod of
each project. The API server is asked what accounts and members may do. A component adds tests with
`projects.smoke`: its script runs in a pod of each project, as the account of training jobs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import PASSING
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.progress import Progress, Silent
from mlops_platform.catalogue.checks import PROJECTS
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.smoke import matrix
from mlops_platform.smoke.answers import Report, Source, Target, results_of
from mlops_platform.smoke.canary import PROBE_IMAGE
from mlops_platform.smoke.rights import MEMBERS, rights
from mlops_platform.smoke.script import PROBES, run_probes
from mlops_platform.smoke.temporary import remove, run_all
from mlops_platform.steps.jobs.manifest import ScriptJob, deployment_of, scripts_of
from mlops_platform.steps.projects import cluster, scripts
from mlops_platform.steps.projects.keep import LAYER
from mlops_platform.steps.projects.model import Project
from mlops_platform.steps.projects.objects import objects_of

_PURPOSE = "mlops-smoke"  # no project of a user has such a name
_LISTENER, _PORT = "listener", 29500  # the port at which the nodes of a training job meet
_SECONDS = 60.0
_SHOWN = 12


@dataclass(frozen=True)
class ProjectsTest:
    """Allowed connections and rights work in both projects; all others do not."""

    context: Context
    patience: float = matrix.PATIENCE
    name: str = PROJECTS
    id: str = f"{PROJECTS}/smoke"
    layer: str = LAYER
    what: str = "test two temporary projects"

    @cached_property
    def digest(self) -> str:
        """Covers the objects of a project, what components offer to projects, and the scripts."""
        context = self.context
        parts: list[Any] = [Path(__file__).read_text(), matrix.SCRIPT.read_text(), PROBES.read_text()]
        parts += objects_of(context, Project("one", MEMBERS))
        for each in context.resolved.values():
            if part := each.component.projects:
                parts += [part.model_dump(mode="json"), each.reference(part.image)]
                parts += [each.text(name) for name in (part.script, part.smoke) if name]
        return short_digest(parts)

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        with _two_projects(self.context, kube, progress) as pair:
            with ThreadPoolExecutor() as pool:
                asked = pool.submit(self._network, kube, progress, pair)
                reviewed = pool.submit(lambda: list(self._rights(kube, *(project.name for project in pair))))
                _sync(self.context, kube, pair)
                from_components = list(pool.map(lambda job: self._component(kube, job), self._jobs(pair)))
            results = asked.result() + [result for results in from_components for result in results]
            return results + reviewed.result()

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = [result for result in results if not result.ok]
        lines = [f"{result.name}: {result.detail}" for result in failed[:_SHOWN]]
        lines += [f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
        return SmokeError(
            f"projects: {len(failed)} of {len(results)} tests failed",
            why="\n".join(lines),
            hint="compare with `mlops-platform policies show`, fix the difference, and run smoke again",
            command=f"mlops-platform smoke {PROJECTS} --env {self.context.environment.name}",
            evidence=self._evidence,
        )

    @property
    def _evidence(self) -> Path:
        return self.context.run_folder / "evidence" / PROJECTS

    def _network(self, kube: Kube, progress: Progress, pair: Sequence[Project]) -> list[Result]:
        context, image = self.context, self.context.images.reference(PROBE_IMAGE)
        for project in pair:
            job = _script(project.name, _LISTENER, image, ("serve", str(_PORT)))
            kube.apply(scripts_of(job), deployment_of(job))
        targets, _ = matrix.targets_of(context, kube)  # a port without a pod fails the matrix
        targets += [self._listener(kube, progress, project, letter) for project, letter in _lettered(pair)]
        ports = context.catalog.project_ports(context.environment.installed)
        allowed = {f"{name}:{port}" for name, numbers in ports.items() for port in numbers}
        sources = [
            Source(f"project {letter}", "reach", project.name, frozenset({*allowed, _pod(letter)}))
            for project, letter in _lettered(pair)
        ]
        progress.say(f"2 pods connect to {len(targets)} addresses")
        jobs = [
            replace(matrix.probe_job(source, image, targets, self.patience), account=TRAINER)
            for source in sources
        ]
        with ThreadPoolExecutor(len(sources)) as pool:
            reports = list(pool.map(lambda s, j: matrix.ask(context, kube, s, j, targets), sources, jobs))
        return self._results(reports, progress)

    def _results(self, reports: list[Report], progress: Progress) -> list[Result]:
        if self.context.cluster.network().own_node:
            reports = matrix.without_own_node(reports, progress)
        results = [result for report in reports for result in results_of(report)]
        if any(not result.ok for result in results):
            matrix.keep_logs(self._evidence, reports)
        return results

    def _listener(self, kube: Kube, progress: Progress, project: Project, letter: str) -> Target:
        def address() -> str | Pending:
            for pod in kube.list("v1", "Pod", project.name, labels=f"role={_LISTENER}"):
                if pod["status"].get("phase") == "Running":
                    return str(pod["status"]["podIP"])
            return Pending("starting a pod in each project")

        found = wait_until(
            f"the listener of {_pod(letter)}",
            address,
            seconds=_SECONDS,
            cancel=self.context.cancel,
            on_seen=progress.say,
            command=kube.kubectl("--namespace", project.name, "get", "events"),
        )
        return Target(_pod(letter), found, _PORT)

    def _jobs(self, pair: Sequence[Project]) -> list[tuple[str, ScriptJob]]:
        beside = {PROBES.name: PROBES.read_text()}
        return [
            (f"project {letter}", scripts.smoke_job(each, project.name, other.name, beside))
            for each in self.context.resolved.values()
            if each.component.projects and each.component.projects.smoke
            for (project, letter), other in zip(_lettered(pair), reversed(pair), strict=True)
        ]

    def _rights(self, kube: Kube, one: str, two: str) -> Iterator[Result]:
        parts = (each.component.projects for each in self.context.resolved.values())
        readable = [
            (group, resource)
            for part in parts
            if part
            for kinds in part.reads
            for group in kinds.groups
            for resource in kinds.resources
        ]
        return rights(kube, one, two, readable)

    def _component(self, kube: Kube, job: tuple[str, ScriptJob]) -> list[Result]:
        where, script = job
        results, log = run_probes(kube, script, Silent(), self.context.cancel)
        if any(not result.ok for result in results):
            self._evidence.mkdir(parents=True, exist_ok=True)
            (self._evidence / f"{script.namespace}-{script.name}.log").write_text(log)
        return [_in_project(result, where) for result in results]


@contextmanager
def _two_projects(context: Context, kube: Kube, progress: Progress) -> Iterator[list[Project]]:
    """Two projects, for the duration of the block; only the first has members.

    Those of killed runs are removed first.
    """
    parts = scripts.components_with_scripts(context)
    for old in kube.metadata("v1", "Namespace", labels=f"{PASSING}={_PURPOSE}"):
        if "deletionTimestamp" not in old["metadata"]:
            remove(context, kube, parts, [old["metadata"]["name"]])
    pair = [Project(f"{_PURPOSE}-{secrets.token_hex(3)}", members) for members in (MEMBERS, ())]
    try:
        for project in pair:
            cluster.apply(kube, objects_of(context, project, {PASSING: _PURPOSE}))
        for project in pair:
            cluster.wait_for_quota(context, kube, project.name)
        yield pair
    finally:
        progress.say("removing two projects")
        remove(context, kube, parts, [project.name for project in pair])


def _sync(context: Context, kube: Kube, pair: Sequence[Project]) -> None:
    found = [each for each in cluster.projects(context, kube) if not each.removing]
    parts = scripts.components_with_scripts(context)
    jobs = [scripts.sync_job(part, [*found, *pair]) for part in parts]
    run_all(context, kube, jobs)


def _script(namespace: str, name: str, image: str, arguments: tuple[str, ...]) -> ScriptJob:
    texts: Mapping[str, str] = {matrix.SCRIPT.name: matrix.SCRIPT.read_text()}
    return ScriptJob(name, namespace, image, texts, arguments, memory="64Mi", account=TRAINER)


def _lettered(pair: Sequence[Project]) -> list[tuple[Project, str]]:
    """Names of temporary projects are random; results have the same names in each run."""
    return list(zip(pair, ("A", "B"), strict=True))


def _pod(letter: str) -> str:
    return f"a pod of project {letter}"


def _in_project(result: Result, where: str) -> Result:
    head = "refused: " if result.negative and result.name.startswith("refused: ") else ""
    return replace(result, name=f"{head}{where}: {result.name.removeprefix(head)}")
