"""The matrix: connections between all pairs of components, tried from inside, compared with the graph.

A probe pod in each component's namespace, with the component's identity, connects to every served port of
every component, by Service and by pod; to the API server; to the nodes; and to a host outside of the cluster.
Two unrelated pods do the same; one of them has a component's labels. An allowed connection must work; any
other must never work, not even once.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.namespaces import passing_namespace
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.progress import Progress, Silent
from mlops_platform.catalogue.checks import MATRIX
from mlops_platform.catalogue.component import Component
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.smoke.answers import Report, Source, Target, at_own_node, parse, results_of
from mlops_platform.smoke.canary import PROBE_IMAGE
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import JobFailed, run_job
from mlops_platform.steps.network.platform import LAYER
from mlops_platform.steps.network.policies import KUBELET_PORT, policies_of, unrestricted

SCRIPT = Path(__file__).with_name("reaching.py")
API_SERVER, NODE, OUTSIDE = "the API server", "a node's kubelet", "a host outside the cluster"
UNRELATED = "an unrelated pod"
_PURPOSE = "mlops-platform-stranger"
_SECONDS = 120
PATIENCE = 30.0
_SHOWN = 12  # failures in the message; a network that enforces nothing fails all tests
_FORBIDDEN = 403


@dataclass(frozen=True)
class MatrixTest:
    """Every ordered pair of components: allowed connections work, all others do not.

    `patience`: seconds until an allowed connection must work; `image`: the image of the probe pods, by
    default the toolbox. After a failure, evidence/matrix/ in the run's folder has the output of the pods.
    """

    context: Context
    patience: float = PATIENCE
    image: str = ""
    name: str = MATRIX
    id: str = "matrix/smoke"
    layer: str = LAYER
    what: str = "test every pair of components"

    @cached_property
    def digest(self) -> str:
        """Covers every policy, every port, and the script."""
        parts: list[Any] = [SCRIPT.read_text()]
        for resolved in self.context.resolved.values():
            ports = [served.port for served in resolved.component.serves.values()]
            parts += [policies_of(self.context, resolved), ports]
        return short_digest(parts)

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        context = self.context
        image = self.image or context.images.reference(PROBE_IMAGE)
        with _outside(context, progress) as outside, _unrelated_pods(context, kube) as unrelated:
            targets, results = targets_of(context, kube)
            targets += outside
            sources = [*_components(context), *unrelated]
            progress.say(f"{len(sources)} pods connect to {len(targets)} addresses")
            with ThreadPoolExecutor(len(sources)) as pool:
                jobs = [probe_job(source, image, targets, self.patience) for source in sources]
                reports = list(pool.map(lambda s, j: ask(context, kube, s, j, targets), sources, jobs))
        counted = _without_unreachable(reports, progress)
        if context.cluster.network().own_node:
            counted = without_own_node(counted, progress)
        results += [result for report in counted for result in results_of(report)]
        results += [_no_host_network(kube, component) for component in context.components]
        if any(not result.ok for result in results):
            keep_logs(self._evidence, reports)
        return results

    @property
    def _evidence(self) -> Path:
        return self.context.run_folder / "evidence" / "matrix"

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = [result for result in results if not result.ok]
        lines = [f"{result.name}: {result.detail}" for result in failed[:_SHOWN]]
        lines += [f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
        return SmokeError(
            f"the network: {len(failed)} of {len(results)} tests failed",
            why="\n".join(lines),
            hint="compare with `mlops-platform policies show`, fix the difference, and run smoke again",
            command=f"mlops-platform smoke matrix --env {self.context.environment.name}",
            evidence=self._evidence,
        )


def _components(context: Context) -> list[Source]:
    flows = context.catalog.flows(context.environment.installed)
    found = []
    for component in context.components:
        allowed = {f"{f.target}:{f.port}" for f in flows if f.source == component.name}
        allowed |= {API_SERVER} if component.kube_api else set()
        allowed |= {NODE} if component.kubelets else set()
        found.append(Source(component.name, "reach", component.namespace, frozenset(allowed)))
    return found


@contextmanager
def _unrelated_pods(context: Context, kube: Kube) -> Iterator[list[Source]]:
    """Two pods in a namespace that no component's policy allows; their own egress is free."""
    flows = context.catalog.flows(context.environment.installed)
    model = max(context.components, key=lambda c: sum(f.source == c.name for f in flows))
    pods = kube.list("v1", "Pod", model.namespace, labels=f"app.kubernetes.io/instance={model.name}")
    worn = dict(pods[0]["metadata"]["labels"]) if pods else {}
    free = frozenset({OUTSIDE, NODE, API_SERVER})
    labeled = f"a pod with the labels of {model.name} in another namespace"
    with passing_namespace(kube, _PURPOSE, context.environment.name) as namespace:
        kube.apply(*unrestricted(namespace))
        yield [
            Source(UNRELATED, "stranger", namespace, free),
            Source(labeled, "labeled", namespace, free, tuple(sorted(worn.items()))),
        ]


@contextmanager
def _outside(context: Context, progress: Progress) -> Iterator[list[Target]]:
    """A host outside of the cluster that the provider names: a port of this machine, opened for the test, or
    a port that is open already. No other host gets a connection."""
    address, _, port = context.cluster.network().outside.partition(":")
    if not address:
        progress.note("hosts outside the cluster were not tried: the provider knows none that pods can reach")
    if not address or port:
        yield [Target(OUTSIDE, address, int(port))] if port else []
        return
    try:
        server = socket.create_server((address, 0), backlog=1024)
    except OSError as error:
        progress.note(f"hosts outside the cluster were not tried: {address}: {error.strerror}")
        yield []
        return
    with server:
        yield [Target(OUTSIDE, address, server.getsockname()[1])]


def targets_of(context: Context, kube: Kube) -> tuple[list[Target], list[Result]]:
    """The addresses behind every served port. A port without a listener is a failure: a refused connection
    would show nothing about policies."""
    targets = [Target(API_SERVER, a.ip, a.port) for a in context.clients.api_addresses]
    targets += [Target(NODE, address, KUBELET_PORT) for address in context.clients.node_addresses]
    missing = []
    for component in context.components:
        services = kube.list("v1", "Service", component.namespace)
        slices = kube.list("discovery.k8s.io/v1", "EndpointSlice", component.namespace)
        for served in component.serves.values():
            what = f"{component.name}:{served.port}"
            found = [Target(what, host, served.port) for host in _hosts(services, served.port)]
            pods = [Target(what, ip, served.container) for ip in _pods(slices, served.container)]
            if not pods:
                missing.append(Result(f"a pod listens at {what}", False, "its Service has no ready pod"))
            targets += [*found, *pods]
    return targets, missing


def _hosts(services: Sequence[Mapping[str, Any]], port: int) -> list[str]:
    return [
        f"{s['metadata']['name']}.{s['metadata']['namespace']}.svc"
        for s in services
        if any(p["port"] == port for p in s["spec"].get("ports") or [])
    ]


def _pods(slices: Sequence[Mapping[str, Any]], port: int) -> list[str]:
    return sorted(
        {
            ip
            for each in slices
            if any(p.get("port") == port for p in each.get("ports") or [])
            for endpoint in each.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready")
            for ip in endpoint["addresses"]
        }
    )


def probe_job(source: Source, image: str, targets: Sequence[Target], patience: float) -> ScriptJob:
    asked = [
        {"id": i, "host": t.host, "port": t.port, "expected": t.what in source.allowed}
        for i, t in enumerate(targets)
    ]
    names = sorted({t.host for t in targets if t.host.endswith(".svc")})
    text = json.dumps({"targets": asked, "names": names, "patience": patience})
    return ScriptJob(
        name=source.job,
        namespace=source.namespace,
        image=image,
        scripts={SCRIPT.name: SCRIPT.read_text(), "targets.json": text},
        arguments=("ask",),
        memory="64Mi",
        seconds=_SECONDS,
        labels=dict(source.labels),
    )


def ask(context: Context, kube: Kube, source: Source, job: ScriptJob, targets: Sequence[Target]) -> Report:
    """Run one probe pod. If it fails, the answers of the other pods are still used."""
    try:
        log = run_job(kube, job, Silent(), context.cancel)
    except JobFailed as error:
        return Report(source, broken=f"{error.what}: {error.why}", log=error.log)
    return parse(source, targets, log)


def _without_unreachable(reports: Sequence[Report], progress: Progress) -> list[Report]:
    """Remove OUTSIDE if even an unrelated pod cannot reach it: then policies are not the reason."""
    unrelated = next(r for r in reports if r.source.name == UNRELATED)
    if all(a.reached for a in unrelated.answers if a.target.what == OUTSIDE):
        return list(reports)
    progress.note("hosts outside the cluster were not tested: even an unrelated pod cannot reach one")
    return [replace(r, answers=tuple(a for a in r.answers if a.target.what != OUTSIDE)) for r in reports]


def without_own_node(reports: Sequence[Report], progress: Progress) -> list[Report]:
    """Remove open connections to a pod's own node: no policy can close them. Refused ones still count."""
    near = [(report, at_own_node(report)) for report in reports]
    skipped = [f"{r.source.name} to {a.target.what} at {r.node}" for r, answers in near for a in answers]
    if skipped:
        progress.note(
            "left out, since this cluster's network plugin may allow connections from pods to their own node "
            f"despite policies: {', '.join(skipped)}"
        )
    return [replace(r, answers=tuple(a for a in r.answers if a not in left)) for r, left in near]


def _no_host_network(kube: Kube, component: Component) -> Result:
    """A negative test: pod security rejects a pod in the node's network, which has the node's identity."""
    name = f"a pod in the node's network in {component.namespace}"
    container = {"name": "c", "image": "none", "securityContext": {"allowPrivilegeEscalation": False}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "in-the-nodes-network", "namespace": component.namespace},
        "spec": {"hostNetwork": True, "containers": [container]},
    }
    if component.pod_security and component.pod_security.level == "privileged":
        return Result(f"{name} is allowed: {component.pod_security.why}", True)
    try:
        kube.create(pod, dry_run=True)
    except KubeError as error:
        right = error.status == _FORBIDDEN and "hostNetwork" in error.why
        return Result(f"refused: {name}", right, "" if right else str(error), negative=True)
    return Result(f"refused: {name}", False, "it was allowed", negative=True)


def keep_logs(folder: Path, reports: Sequence[Report]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for report in reports:
        (folder / f"{report.source.namespace}-{report.source.job}.log").write_text(
            report.log or report.broken
        )
