"""Canaries: a second version gets a share of the requests, and is promoted or removed.

The order is in docs/serving.md: the routes change before the pods, so no request meets a pod that is not
ready, or goes back to an old version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.inference import API, KIND, canaries_of, model_of, version_of
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.catalogue.scripts import ModelsPart
from mlops_platform.environment.uis import models_router
from mlops_platform.run.context import Context
from mlops_platform.steps.models.manifest import manifest
from mlops_platform.steps.models.options import Sizes
from mlops_platform.steps.models.registry import Resolution, uri
from mlops_platform.steps.models.serve import Target, wait
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
        """Add the version, or change its share. It gets no request before it is ready."""
        if self.name not in canaries_of(self.existing):
            self._traffic(0)
        self._apply(self._stable, percent)
        wait(self.kube, self.target, self.say, canary=self.name)
        self._annotate(None)
        self._routed({self.name: percent})

    def promote(self) -> None:
        """Make the version the stable one; a promotion that was interrupted continues."""
        percent = canaries_of(self.existing)[self.name]
        self._traffic(100)
        self._routed({self.name: 100})
        self._apply(Resolution(self.target.model, self.target.version), percent)
        wait(self.kube, self.target, self.say)
        self.end(Resolution(self.target.model, self.target.version))

    def end(self, stable: Resolution) -> None:
        """Give all requests to the stable version, then remove the canary."""
        self._traffic(0)
        self._routed({STABLE: 100})
        self._apply(stable, None)
        self._annotate(None)

    @property
    def _stable(self) -> Resolution:
        return Resolution(model_of(self.existing), version_of(self.existing["metadata"]))

    def _apply(self, stable: Resolution, percent: int | None) -> None:
        """Write the object with this stable version, and with or without the canary."""
        target = self.target
        wanted = manifest(self.part, target.project, target.name, stable, Sizes(), self.existing)
        if percent is not None:
            model = {
                "modelFormat": {"name": self.part.format},
                "protocolVersion": "v2",
                "storageUri": uri(self.part, target.model, target.version),
            }
            resources = wanted["spec"]["predictor"]["model"].get("resources")
            model = {**model, **({"resources": resources} if resources else {})}
            canary = {"predictor": {"name": self.name, "model": model}, "trafficPercent": percent}
            wanted["spec"]["canary"] = [canary]
        self.kube.apply(wanted)

    def _traffic(self, percent: int) -> None:
        self._annotate(f"{self.name}={percent}")

    def _annotate(self, value: str | None) -> None:
        body = {"metadata": {"annotations": {TRAFFIC: value}}}
        self.kube.patch(API, KIND, self.target.name, self.target.project, body=body)

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
def routed(context: Context, project: str, name: str) -> Iterator[Callable[[], Mapping[str, int]]]:
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
    with reached(context, project, context.resolved[component.name], port) as (url, token):
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
