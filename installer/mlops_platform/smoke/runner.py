"""Owns running a component's probes in the cluster, its pods deleted in the middle where that is allowed."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.process import tail
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Component, SmokeSpec
from mlops_platform.engine.result import Result, parse, save
from mlops_platform.run.context import Context
from mlops_platform.run.variables import template_variables
from mlops_platform.smoke.evidence import collect
from mlops_platform.steps.access.users import PEOPLE, trial
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import JobFailed, audience, run_job
from mlops_platform.steps.release.values import smoke_scripts

_BACK_SECONDS = 180


def run_component(
    context: Context, component: Component, kube: Kube, progress: Progress, *, gentle: bool = False
) -> list[Result]:
    """Every probe of a component, whatever failed before. Results are kept in the run's folder.

    With `gentle` no pod is deleted, wherever that is allowed.

    On a failure evidence/<component>/ there holds objects, events and logs.
    """
    results: list[Result] = []
    said: dict[str, str] = {}
    for spec in component.smoke:
        with trial(context, component) if spec.people else nullcontext():
            results += _Run(context, component, spec, kube, progress, said).all(gentle=gentle)
    save(context.run_folder, component.name, results)
    if any(not result.ok for result in results):
        progress.say("collecting evidence")
        collect(kube, component.namespace, context.run_folder / "evidence" / component.name, said)
    return results


class _Run:
    """One script: its probes, and what it wrote read again by pods that have not seen it written."""

    def __init__(
        self,
        context: Context,
        component: Component,
        spec: SmokeSpec,
        kube: Kube,
        progress: Progress,
        said: dict[str, str],
    ) -> None:
        self._context, self._component, self._spec = context, component, spec
        self._kube, self._progress, self._said = kube, progress, said
        self._run = secrets.token_hex(4)

    def all(self, *, gentle: bool) -> list[Result]:
        if gentle or not (self._spec.survives and self._context.environment.smoke.disruptive):
            return self._phase("probe")
        results, started = self._phase("probe", "write"), time.monotonic()
        back = f"{', '.join(self._spec.survives)} comes back"
        try:
            doomed = self._doomed()
            standing = sum("deletionTimestamp" not in pod["metadata"] for pod in self._pods())
            for pod in doomed:
                name, grace = pod["metadata"]["name"], self._spec.grace
                self._kube.delete("v1", "Pod", name, self._component.namespace, grace_seconds=grace)
            gone = {pod["metadata"]["uid"] for pod in doomed}
            # Not before they are gone: the last pod of a Service is asked until its very end.
            self._wait(lambda: self._leaving(gone))
            results += self._phase("read")  # it starts while the new pods do, and is patient
            self._wait(lambda: self._missing(standing))
        except StepError as error:
            return [*results, Result(back, False, f"{error.what}\n{error.why}", time.monotonic() - started)]
        return [*results, Result(back, True, seconds=round(time.monotonic() - started, 3))]

    def _phase(self, *acts: str) -> list[Result]:
        """One Job. A script that breaks off is a probe that failed."""
        phase = acts[-1]
        self._progress.say(f"probes: {' and '.join(acts)}")
        try:
            log = run_job(self._kube, self._work(phase, acts), self._progress, self._context.cancel)
        except JobFailed as error:
            results = parse(error.log)
            if all(result.ok for result in results):
                results.append(Result("the probes run to their end", False, f"{error.what}\n{error.why}"))
            log = error.log or error.why
        else:
            results = parse(log)
            if not results:
                results.append(Result("the probes say what they found", False, tail(log) or "nothing"))
        self._said[f"{self._spec.script}-{phase}"] = log
        return results

    def _work(self, phase: str, acts: tuple[str, ...]) -> ScriptJob:
        context, component, spec = self._context, self._component, self._spec
        return ScriptJob(
            name=f"{component.name}-{spec.script.removesuffix('.py')}-{phase}",
            namespace=component.namespace,
            image=context.images.reference(spec.image),
            scripts=smoke_scripts(context, component, spec),
            arguments=acts,
            secrets={f"{component.name}-{n}": n for n in (*spec.secrets, *([PEOPLE] if spec.people else []))},
            env={**substitute(spec.env, template_variables(context, component)), "RUN": self._run},
            memory=spec.memory,
            seconds=spec.seconds,
            audience=audience(context) if spec.identity else "",
        )

    def _pods(self) -> list[dict[str, Any]]:
        labels = f"app.kubernetes.io/instance={self._component.name}"
        return self._kube.list("v1", "Pod", self._component.namespace, labels=labels)

    def _doomed(self) -> list[dict[str, Any]]:
        """'postgres-0' is that pod, 'deployment/mlflow' all pods of that Deployment."""
        wanted = self._spec.survives
        owned = [w.removeprefix("deployment/") for w in wanted if "/" in w]
        names = re.compile("|".join([*map(re.escape, wanted), *(f"{w}-[a-z0-9]+-[a-z0-9]+" for w in owned)]))
        found = [p for p in self._pods() if names.fullmatch(p["metadata"]["name"])]
        if not found:
            raise StepError(f"no pod to delete: {', '.join(wanted)}", why="the release has none of these")
        return found

    def _leaving(self, gone: set[str]) -> str:
        """'' once no pod of these uids is left."""
        old = [p["metadata"]["name"] for p in self._pods() if p["metadata"]["uid"] in gone]
        return f"{old[0]} is being deleted" if old else ""

    def _missing(self, count: int) -> str:
        """'' once so many pods are ready, and none is not."""
        pods = self._pods()
        states = [str(state) for pod in pods if (state := pod_state(pod))]
        return next(iter(states), "" if len(pods) >= count else "no new pod yet")

    def _wait(self, lacking: Callable[[], str]) -> None:
        def there() -> bool | Pending:
            text = lacking()
            return Pending(text) if text else True

        wait_until(
            f"{self._component.name}: pods back",
            there,
            seconds=_BACK_SECONDS,
            cancel=self._context.cancel,
            on_seen=self._progress.say,
            longest_delay=0.25,
            command=self._kube.kubectl("--namespace", self._component.namespace, "get", "pods"),
        )
