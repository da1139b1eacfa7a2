"""One script of a smoke test: its Jobs, and the pods that are deleted between them where allowed."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.process import tail
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.scripts import SmokeSpec
from mlops_platform.engine.result import Result, parse
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.access.certificate import authority
from mlops_platform.steps.access.users import PEOPLE
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import JobFailed, run_job

_BACK_SECONDS = 180
PROBES = Path(__file__).with_name("probes.py")
_API = Path(__file__).with_name("apiserver.py")
_BROWSER = Path(__file__).with_name("browser.py")
# Beside the scripts of a component that requires the ingress: its smoke test may send requests through it.
AUTHORITY = "authority.crt"


def job_name(component: str, script: str, phase: str) -> str:
    """The name of a script's Job: a file may have underscores, an object of Kubernetes may not."""
    return f"{component}-{script.removesuffix('.py').replace('_', '-')}-{phase}"


def scripts_of(resolved: ResolvedComponent, spec: SmokeSpec) -> dict[str, str]:
    """The files of a smoke test's Job: its script, probes.py, and the account scripts that it uses."""
    provided = (p.script for p in resolved.component.provides.values() if p.script)
    texts = {name: resolved.text(name) for name in (spec.script, *spec.files, *provided)}
    texts[PROBES.name] = PROBES.read_text()
    if spec.project:
        texts[_API.name] = _API.read_text()
    if spec.people:
        texts[_BROWSER.name] = _BROWSER.read_text()
    for name, table in resolved.tables.items():
        texts[name] = json.dumps(table())
    if spec.people and resolved.login:
        texts["login.py"] = resolved.login.read_text()
    return texts


def run_probes(kube: Kube, job: ScriptJob, progress: Progress, cancel: Cancel) -> tuple[list[Result], str]:
    """Run a script with probes.py as a Job; its results and log. A script that stops early is a failure."""
    try:
        log = run_job(kube, job, progress, cancel)
    except JobFailed as error:
        results = parse(error.log)
        if all(result.ok for result in results):
            results.append(Result("the smoke test runs to its end", False, f"{error.what}\n{error.why}"))
        return results, error.log or error.why
    results = parse(log)
    if not results:
        results.append(Result("the smoke test reports results", False, tail(log) or "no output"))
    return results, log


class ScriptRun:
    """One script: its tests, and the data it wrote, read again from new pods."""

    def __init__(
        self,
        context: Context,
        resolved: ResolvedComponent,
        spec: SmokeSpec,
        kube: Kube,
        progress: Progress,
        logs: dict[str, str],
        project: str,
    ) -> None:
        self._context, self._resolved, self._spec, self._project = context, resolved, spec, project
        self._kube, self._progress, self._logs = kube, progress, logs
        self._run = secrets.token_hex(4)

    def all(self, *, gentle: bool) -> list[Result]:
        if gentle or not (self._spec.survives and self._context.environment.smoke.disruptive):
            return self._phase("probe")
        results, started = self._phase("probe", "write"), time.monotonic()
        back = f"{', '.join(self._spec.survives)} is ready again"
        try:
            doomed = self._pods_to_delete()
            standing = sum("deletionTimestamp" not in pod["metadata"] for pod in self._pods())
            for pod in doomed:
                name, grace = pod["metadata"]["name"], self._spec.grace
                self._kube.delete("v1", "Pod", name, self._resolved.namespace, grace_seconds=grace)
            gone = {pod["metadata"]["uid"] for pod in doomed}
            # Wait until they are gone: a Service sends requests to its last pod until that pod ends.
            self._wait(lambda: self._leaving(gone))
            results += self._phase("read")  # the Job starts together with the new pods, and waits for them
            self._wait(lambda: self._missing(standing))
        except StepError as error:
            return [*results, Result(back, False, f"{error.what}\n{error.why}", time.monotonic() - started)]
        return [*results, Result(back, True, seconds=round(time.monotonic() - started, 3))]

    def _phase(self, *acts: str) -> list[Result]:
        """Run one Job."""
        phase = acts[-1]
        self._progress.say(f"smoke: {' and '.join(acts)}")
        results, log = run_probes(self._kube, self._job(phase, acts), self._progress, self._context.cancel)
        self._logs[f"{self._spec.script}-{phase}"] = log
        return results

    def _job(self, phase: str, acts: tuple[str, ...]) -> ScriptJob:
        resolved, spec = self._resolved, self._spec
        keys = (*spec.secrets, *([PEOPLE] if spec.people else []))
        image = resolved.reference(spec.image)
        scripts = scripts_of(resolved, spec)
        if resolved.name in self._context.catalog.late_uis(self._context.resolved):
            scripts[AUTHORITY] = authority(self._context)
        env = {**substitute(spec.env, resolved.variables), "RUN": self._run}
        if spec.project:
            env |= {"PROJECT": self._project, "IMAGE": image}
        return ScriptJob(
            name=job_name(resolved.name, spec.script, phase),
            namespace=resolved.namespace,
            image=image,
            scripts=scripts,
            arguments=acts,
            secrets={resolved.secret(key): key for key in keys},
            env=env,
            memory=spec.memory,
            seconds=spec.seconds,
            audience=resolved.audience if spec.identity else "",
            token=spec.token,
            api=spec.project,
        )

    def _pods(self) -> list[dict[str, Any]]:
        labels = f"app.kubernetes.io/instance={self._resolved.name}"
        return self._kube.list("v1", "Pod", self._resolved.namespace, labels=labels)

    def _pods_to_delete(self) -> list[dict[str, Any]]:
        """The pods to delete: 'x-0' is that pod, 'deployment/x' means all pods of that Deployment."""
        wanted = self._spec.survives
        owned = [w.removeprefix("deployment/") for w in wanted if "/" in w]
        names = re.compile("|".join([*map(re.escape, wanted), *(f"{w}-[a-z0-9]+-[a-z0-9]+" for w in owned)]))
        found = [p for p in self._pods() if names.fullmatch(p["metadata"]["name"])]
        if not found:
            raise StepError(f"no pod to delete: {', '.join(wanted)}", why="the release has none of these")
        return found

    def _leaving(self, gone: set[str]) -> str:
        """'' once no pod of these uids is left, else the name of one."""
        old = [p["metadata"]["name"] for p in self._pods() if p["metadata"]["uid"] in gone]
        return f"{old[0]} is being deleted" if old else ""

    def _missing(self, count: int) -> str:
        """'' once `count` pods exist and all are ready, else the state of one that is not."""
        pods = self._pods()
        states = [str(state) for pod in pods if (state := pod_state(pod))]
        return next(iter(states), "" if len(pods) >= count else "no new pod yet")

    def _wait(self, lacking: Callable[[], str]) -> None:
        def there() -> bool | Pending:
            text = lacking()
            return Pending(text) if text else True

        wait_until(
            f"{self._resolved.name}: pods are ready again",
            there,
            seconds=_BACK_SECONDS,
            cancel=self._context.cancel,
            on_seen=self._progress.say,
            longest_delay=0.25,
            command=self._kube.kubectl("--namespace", self._resolved.namespace, "get", "pods"),
        )
