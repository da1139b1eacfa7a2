"""Serving of a model: its object is applied, and its pods are waited for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError, webhooks
from mlops_platform.adapters.kube.inference import (
    API,
    KIND,
    LABEL,
    STARTS,
    Serving,
    parts_of,
    serving,
    version_of,
)
from mlops_platform.adapters.kube.patience import Patience
from mlops_platform.adapters.kube.readiness import explained, log_end
from mlops_platform.adapters.kube.rollout import State
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.base.humanize import plural
from mlops_platform.steps.models.options import label_of

READY_SECONDS = 900.0  # a model of many gigabytes is fetched first
_GONE_SECONDS = 180.0
# A container that fails is started again after 10 s: the second failure says that the first was no accident.
_TRIES = 2


@dataclass(frozen=True)
class Target:
    """A version of a model, and the service that shall have it."""

    environment: str
    project: str
    name: str
    model: str
    version: str

    def command(self, act: str) -> str:
        """A command of the group `model`, to be pasted."""
        return f"mlops-platform model {act} --project {self.project} --env {self.environment}"


@dataclass(frozen=True)
class Applied:
    """The version before ('' if there was none), and whether anything changed."""

    before: str
    changed: bool


class LoadFailed(StepError):
    """A version that does not serve; `serving` is what the pods do."""

    def __init__(self, what: str, found: Serving, *, why: str, hint: str, command: str) -> None:
        super().__init__(what, why=why, hint=hint, command=command)
        self.serving = found


def written(write: Callable[[], object], say: Callable[[str], None] | None = None) -> None:
    """Write an object of this kind, again while its webhooks do not answer. Raises KubeError."""
    webhooks.written(
        write,
        f"{KIND}s",
        say=say,
        hint="the controller of models does not run: look at its component, and give the command again",
        command="mlops-platform status",
    )


def apply(
    kube: Kube,
    wanted: Mapping[str, Any],
    existing: Mapping[str, Any] | None,
    say: Callable[[str], None] | None = None,
) -> Applied:
    """Write the object. The API server says whether it changed: its generation counts changes."""
    meta = wanted["metadata"]
    written(lambda: kube.apply(wanted), say)
    after = kube.get(API, KIND, meta["name"], meta["namespace"]) or {}
    keys = ("generation", "uid")
    changed = not existing or any(existing["metadata"].get(k) != after["metadata"].get(k) for k in keys)
    return Applied(version_of(existing["metadata"]) if existing else "", changed)


def wait(kube: Kube, target: Target, say: Callable[[str], None], canary: str = "") -> Serving:
    """Wait until the version serves, as the stable one or as `canary`.

    Raises LoadFailed, StepError, WaitTimedOut with the reason.
    """
    patience = Patience()

    def observe() -> Serving | Pending:
        parts = parts_of(kube, target.project, target.name)
        if not parts.services:
            raise StepError(f"{target.name} was deleted while its pods were waited for")
        found = serving(parts.services[0], parts, datetime.now(UTC), canary)
        if found.state == "ready":
            return found
        hopeless = patience.exhausted(found.states)
        failure = found.failure
        if hopeless or (found.state == "failed" and (not failure or failure.tries >= _TRIES)):
            raise _failed(kube, target, found)
        return Pending(_seen(kube, target, found))

    return wait_until(
        f"version {target.version} of {target.name}",
        observe,
        seconds=READY_SECONDS,
        on_seen=say,
        hint="the rollout goes on; look at it again",
        command=target.command(f"show {target.name}"),
    )


def retry(kube: Kube, target: Target) -> None:
    """Delete a pod that has failed before, so that it is tried again now and not after minutes."""
    parts = parts_of(kube, target.project, target.name)
    found = serving(parts.services[0], parts, datetime.now(UTC)) if parts.services else None
    if found and found.failure:
        try:
            kube.delete("v1", "Pod", found.pod, target.project)
        except KubeError as error:
            if error.status != 403:  # the account of a notebook deletes no pods: the kubelet tries again
                raise


def stop(kube: Kube, project: str, name: str, say: Callable[[str], None]) -> bool:
    """Delete the object, and wait until its pods are gone; False if there is none. Raises WaitTimedOut."""
    if not kube.delete(API, KIND, name, project):
        return False

    def gone() -> bool | Pending:
        pods = kube.list("v1", "Pod", project, labels=f"{LABEL}={name}")
        if pods:
            return Pending(f"{plural(len(pods), 'pod')} left")
        found = kube.get(API, KIND, name, project)
        held = ", ".join((found or {}).get("metadata", {}).get("finalizers") or []) or "none"
        return Pending(f"finalizers: {held}") if found else True

    wait_until(
        f"end of {name}",
        gone,
        seconds=_GONE_SECONDS,
        on_seen=say,
        hint="if a finalizer is left, start the controller that removes it",
        command=kube.kubectl("--namespace", project, "get", KIND.lower(), name, "--output", "yaml"),
    )
    return True


def still(found: Serving) -> str:
    """'version 1 still serves (1 pod)', or that no version serves."""
    if not found.versions:
        return "no version serves"
    parts = [f"version {version} still serves ({plural(n, 'pod')})" for version, n in found.versions.items()]
    return ", ".join(parts)


def _seen(kube: Kube, target: Target, found: Serving) -> str:
    """'0 of 1 pods of version 2 ready: the server loads the model'"""
    reason = found.reason
    if found.states and found.reason == STARTS:
        seen = explained(kube, target.project, found.states[0]).detail
        reason = seen if seen != found.states[0].detail else reason
    text = f"{found.ready} of {found.wanted or 1} pods of version {target.version} ready"
    return f"{text}: {reason}" if reason else text


def _failed(kube: Kube, target: Target, found: Serving) -> LoadFailed:
    failure = found.failure
    why = [failure.text or found.reason if failure else found.reason]
    if failure:
        if not failure.text:
            state = State("pod", found.pod, "", failure.how, "", failure.container, failure.tries - 1)
            why.append(log_end(kube, target.project, state))
        why.append(f"pod {found.pod}, container {failure.container}: {failure.how}, {failure.tries} tries")
    earlier = next((v for v in found.versions if v != target.version and v.isdigit()), "")
    hint = _hint(found) + ("; or serve the earlier version again" if earlier else "")
    named = "" if label_of(target.model) == target.name else f" --name {target.name}"
    again = f"serve {shlex.quote(f'{target.model}/{earlier}')}{named}"
    return LoadFailed(
        f"{target.name}: version {target.version} does not serve; {still(found)}",
        found,
        why="\n".join(filter(None, why)),
        hint=hint,
        command=target.command(again if earlier else f"show {target.name}"),
    )


def _hint(found: Serving) -> str:
    if found.failure and found.failure.how == "OOMKilled":
        return "give it more with --memory"
    if not found.failure and found.reason.startswith("not enough quota"):
        return "stop another model or job, or give the project more with `project add --quota`"
    return "correct the model, and register it again"
