"""Canaries: a second version gets a share of the requests, and is promoted or removed.

The order is in docs/serving.md: the routes change before the pods, so no request meets a pod that is not
ready, or goes back to an old version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.inference import API, KIND, canaries_of, model_of, version_of
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.labels import DIGEST, MODEL_VERSION
from mlops_platform.catalogue.projects import ModelsPart
from mlops_platform.environment.uis import models_router
from mlops_platform.run.project import ProjectContext
from mlops_platform.steps.models.manifest import digest_of, manifest
from mlops_platform.steps.models.options import Sizes
from mlops_platform.steps.models.registry import Resolution, uri
from mlops_platform.steps.models.serve import Target, wait, written
from mlops_platform.steps.projects.servers import reached

TRAFFIC = "mlops-platform/traffic"  # replaces the shares in spec.canary while it is there
STABLE = "stable"
_ROUTED_SECONDS, _ANSWER_SECONDS = 60.0, 20.0
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Canary:
    """The steps of a canary of one served model. `shares` reads the percentages of its predictors."""

    kube: Kube
    part: ModelsPart
    target: Target
    existing: Object
    shares: Callable[[], Mapping[str, int]]
    say: Callable[[str], None]

    @property
    def name(self) -> str:
        """The name of the predictor: that of its Deployment and Service."""
        return f"v{self.target.version}"

    def start(self, percent: int) -> None:
        """Add the version, or change its share. It gets no request for which it has no pods."""
        before = canaries_of(self.existing).get(self.name, 0)
        self._traffic(min(before, percent))
        if percent < before:
            self._routed({self.name: percent})
        self._apply(self._stable, percent)
        wait(self.kube, self.target, self.say, canary=self.name)
        self._annotate(None)
        self._routed({self.name: percent})

    def promote(self) -> None:
        """Make the version the stable one; a promotion that was interrupted continues."""
        percent, pods = canaries_of(self.existing)[self.name], self._stable_pods()
        promoted = Resolution(self.target.model, self.target.version)
        self._apply(self._stable, percent, pods)
        wait(self.kube, self.target, self.say, canary=self.name)
        self._traffic(100)
        self._routed({self.name: 100})
        self._apply(promoted, percent, pods)
        wait(self.kube, self.target, self.say)
        self.end(promoted)

    def end(self, stable: Resolution) -> None:
        """Give all requests to the stable version, then remove the canary."""
        self._traffic(0)
        self._routed({STABLE: 100})
        self._apply(stable, None)
        self._annotate(None)

    @property
    def _stable(self) -> Resolution:
        return Resolution(model_of(self.existing), version_of(self.existing["metadata"]))

    def _stable_pods(self) -> int:
        """The pods that answer now: an autoscaler may have added some."""
        target = self.target
        found = self.kube.get("apps/v1", "Deployment", f"{target.name}-predictor", target.project)
        return int((found or {}).get("spec", {}).get("replicas") or 1)

    def _apply(self, stable: Resolution, percent: int | None, pods: int = 0) -> None:
        """Write the object with this stable version, and with or without the canary.

        KServe takes the pods of a canary off those of the stable predictor, before they are ready: so they
        are added to its number. The annotations are those of the canary's own version: with the object's,
        which change at the promotion, its pods would restart while all requests go to them.
        """
        target = self.target
        wanted = manifest(self.part, target.project, target.name, stable, Sizes(), self.existing)
        if percent is not None:
            predictor = wanted["spec"]["predictor"]
            source = uri(self.part, target.model, target.version)
            pods = pods or math.ceil(predictor["minReplicas"] * percent / 100) or 1
            digest = digest_of(source, predictor["model"].get("resources", {}))
            canary = {
                "name": self.name,
                "minReplicas": pods,
                "annotations": {MODEL_VERSION: target.version, DIGEST: digest},
                "model": {**predictor["model"], "storageUri": source},
            }
            predictor["minReplicas"] += pods
            predictor["maxReplicas"] += pods
            wanted["spec"]["canary"] = [{"predictor": canary, "trafficPercent": percent}]
        written(lambda: self.kube.apply(wanted), self.say)

    def _traffic(self, percent: int) -> None:
        self._annotate(f"{self.name}={percent}")

    def _annotate(self, value: str | None) -> None:
        body = {"metadata": {"annotations": {TRAFFIC: value}}}
        written(
            lambda: self.kube.patch(API, KIND, self.target.name, self.target.project, body=body), self.say
        )

    def _routed(self, wanted: Mapping[str, int]) -> None:
        """Wait until the routes have these shares; a predictor without requests may be left out of them."""

        def seen() -> bool | Pending:
            shares = self.shares()
            if all(shares.get(name, 0) == percent for name, percent in wanted.items()):
                return True
            parts = ", ".join(f"{name} {percent} %" for name, percent in shares.items()) or "none"
            return Pending(f"the routes have not changed yet: {parts}")

        wait_until(
            f"routes of {self.target.name}",
            seen,
            seconds=_ROUTED_SECONDS,
            on_seen=self.say,
            longest_delay=0.5,
            hint="the same command again continues",
            command=self.target.command(f"show {self.target.name}"),
        )


@contextmanager
def routed(context: ProjectContext, project: str, name: str) -> Iterator[Callable[[], Mapping[str, int]]]:
    """Yield the function that reads the shares of a model's predictors from the component that routes.

    Raises UsageError if no component splits requests.
    """
    found = models_router(context.environment, context.catalog)
    if found is None:
        raise UsageError(
            f"no component of {context.environment.name} splits requests between versions",
            hint="add the component that routes requests to models, and run `mlops-platform up`",
            command=f"mlops-platform env show {context.environment.name}",
        )
    component, port = found
    with reached(context, project, component, port) as (url, token):
        yield lambda: _shares(f"{url}/{project}/", token, name)


def _shares(url: str, token: str, name: str) -> Mapping[str, int]:
    try:
        answer = urllib3.request(
            "GET",
            url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_ANSWER_SECONDS,
            retries=urllib3.Retry(2, redirect=0),
        )
        models = json.loads(answer.data)["models"] if answer.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        raise StepError("the routes of models do not answer", why=str(error), transient=True) from error
    if models is None:
        raise StepError(
            f"the routes of models answer {answer.status}", why=answer.data[:500].decode(errors="replace")
        )
    return {
        each["name"]: int(each["percent"])
        for model in models
        if model["name"] == name
        for each in model["predictors"]
    }
