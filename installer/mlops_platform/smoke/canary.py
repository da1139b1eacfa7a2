"""The canary: two pods that show whether this cluster's network enforces policies at all.

The API server accepts every NetworkPolicy, also if no plugin enforces it. Names of network plugins say
little; a connection that is refused under one policy and allowed under another one shows it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import passing_namespace
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import SmokeError, WaitTimedOut
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.checks import CANARY
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.steps.jobs.manifest import ScriptJob, deployment_of, scripts_of
from mlops_platform.steps.network.platform import LAYER
from mlops_platform.steps.network.policies import EVERY_POD, Manifest, namespace_peer, placed

SCRIPT = Path(__file__).with_name("reaching.py")
PURPOSE = "mlops-platform-canary"
PORT = 8080
PROBE_IMAGE = "toolbox"
_SECONDS = 30.0  # some plugins need this long to send a policy to their nodes
_WAY_SECONDS = 120.0


@dataclass(frozen=True)
class CanaryTest:
    """Two pods and four policies that show whether this cluster enforces network policies at all."""

    context: Context
    name: str = CANARY
    id: str = "policies/enforced"
    layer: str = LAYER
    what: str = "check that policies are enforced"

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256((SCRIPT.read_text() + repr(phases("canary"))).encode()).hexdigest()[:16]

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        context = self.context
        image = context.images.reference(PROBE_IMAGE)
        return run(kube, context.environment.name, image, progress, context.cancel)

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = next(result for result in results if not result.ok)
        kube = self.context.clients.kube
        if not failed.negative:
            return SmokeError(
                f"the network lets nothing through: {failed.name}",
                why=failed.detail,
                hint="find the policy or network plugin that stops pods from connecting to each other",
                command=kube.kubectl("get", "pods", "--all-namespaces", "--output", "wide"),
            )
        return SmokeError(
            "this cluster does not enforce network policies",
            why=f"{failed.name.removeprefix('refused: ')}: {failed.detail}",
            hint="turn on policy enforcement of its network plugin, or install one that has it "
            "(docs/security.md); until then every pod can connect to every other",
            command=kube.kubectl("get", "pods", "--namespace", "kube-system"),
        )


def run(kube: Kube, environment: str, image: str, progress: Progress, cancel: Cancel) -> list[Result]:
    """Positive and negative tests, up to the first failure: the results after it would show nothing."""
    with passing_namespace(kube, PURPOSE, environment) as namespace:
        pods = _Pods(kube, namespace, image, progress, cancel)
        pods.start()
        return list(_probes(kube, namespace, pods))


def _probes(kube: Kube, namespace: str, pods: _Pods) -> Iterator[Result]:
    for name, policies, wanted in phases(namespace):
        kube.apply(*policies)
        started = time.monotonic()
        seen = pods.see(wanted)
        ok = seen == wanted
        negative = wanted == "shut"
        took = round(time.monotonic() - started, 3)
        detail = "" if ok else f"still {seen or 'no answer'} after {took:.0f} s"
        yield Result(f"refused: {name}" if negative else name, ok, detail, took, negative)
        if not ok:
            return


def phases(namespace: str) -> Sequence[tuple[str, Sequence[Manifest], str]]:
    """The phases: name, policies, and the expected answer.

    The first phase allows everything: without any policy, the answer depends on the plugin. Some plugins deny
    all until a policy allows it:
    https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
    """
    peer, ports = [namespace_peer(namespace)], [{"protocol": "TCP", "port": PORT}]
    everything: list[Manifest] = [{}]
    ingress, egress = [{"from": peer, "ports": ports}], [{"to": peer, "ports": ports}]

    def policy(ingress: list[Manifest], egress: list[Manifest]) -> Sequence[Manifest]:
        rules = {"ingress": ingress, "egress": egress}
        return placed([{"metadata": {"name": "canary"}, "spec": {**EVERY_POD, **rules}}], namespace)

    return (
        ("a pod connects to another when all traffic is allowed", policy(everything, everything), "open"),
        ("a pod connects to another when no ingress is allowed", policy([], everything), "shut"),
        (
            "a pod connects to another when ingress from its namespace is allowed",
            policy(ingress, everything),
            "open",
        ),
        ("a pod connects to another when no egress is allowed", policy(ingress, []), "shut"),
        (
            "a pod connects to another when egress to its namespace is allowed",
            policy(ingress, egress),
            "open",
        ),
    )


@dataclass(frozen=True)
class _Pods:
    """A server pod, and a client pod that logs whether it can connect. Both are pods of Deployments: some
    network plugins ignore pods without an owner."""

    kube: Kube
    namespace: str
    image: str
    progress: Progress
    cancel: Cancel

    def start(self) -> None:
        server = self._job("server", ("serve", str(PORT)))
        self._make(server)
        address = wait_until(
            "the canary's server",
            self._address,
            seconds=_WAY_SECONDS,
            cancel=self.cancel,
            on_seen=self.progress.say,
            command=self.kube.kubectl("--namespace", self.namespace, "describe", "pods"),
        )
        self._make(replace(server, name="client", arguments=("watch", address, str(PORT))))

    def _address(self) -> str | Pending:
        for pod in self._running("server"):
            return str(pod["status"]["podIP"])
        return Pending("starting two pods")

    def see(self, wanted: str) -> str:
        """The client's last answer; waits a while for the wanted one."""

        def last() -> str | Pending:
            answer = self._last_answer()
            return answer if answer == wanted else Pending(answer or "no answer yet")

        try:
            return wait_until(
                f"the canary's connection is {wanted}",
                last,
                seconds=_SECONDS if self._last_answer() else _WAY_SECONDS,
                cancel=self.cancel,
                on_seen=self.progress.say,
                longest_delay=0.1,
            )
        except WaitTimedOut:
            return self._last_answer()

    def _last_answer(self) -> str:
        for pod in self._running("client"):
            lines = self.kube.logs(self.namespace, pod["metadata"]["name"]).split()
            return lines[-1] if lines else ""
        return ""

    def _running(self, role: str) -> list[dict[str, Any]]:
        pods = self.kube.list("v1", "Pod", self.namespace, labels=f"role={role}")
        return [pod for pod in pods if pod["status"].get("phase") == "Running"]

    def _job(self, name: str, arguments: tuple[str, ...]) -> ScriptJob:
        scripts = {SCRIPT.name: SCRIPT.read_text()}
        return ScriptJob(name, self.namespace, self.image, scripts, arguments, memory="64Mi")

    def _make(self, job: ScriptJob) -> None:
        self.kube.apply(scripts_of(job), deployment_of(job))
