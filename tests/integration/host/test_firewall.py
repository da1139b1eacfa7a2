"""NetworkPolicies on a real node: for new pods, after kills, when nft fails."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from mlops_platform.adapters.kube import KubeError
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.host.api import Api
from mlops_platform.clusters.host.layout import API_PORT

from tests.integration.host.policies import (
    DENY,
    GUARDED,
    OPEN_EGRESS,
    OPEN_INGRESS,
    TO_WEB,
    TO_WEB_ONLY,
    policy,
)
from tests.integration.host.traffic import (
    End,
    FirstConnections,
    Speaker,
    first_connections,
    latencies,
    listener,
    outside_host,
    until,
)
from tests.integration.host.world import PROBE, World, kill, namespace, pod, with_argument

pytestmark = pytest.mark.integration
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Pods:
    """Two pods behind a default deny, and a pod with the same labels in another namespace."""

    web: Speaker
    client: Speaker
    stranger: Speaker


@pytest.fixture(scope="module")
def pods(world: World) -> Iterator[Pods]:
    # The API server admits the leading zero; the policy selects no pod, so all tests must pass with it.
    block = {"ipBlock": {"cidr": "010.0.0.0/8"}}
    of_no_pod = {"podSelector": {"matchLabels": {"app": "gone"}}, "ingress": [{"from": [block]}]}
    world.kube.apply(namespace(GUARDED), namespace(ELSEWHERE), DENY, policy(ELSEWHERE, "odd", of_no_pod))
    yield Pods(
        listener(world, GUARDED, "web"),
        listener(world, GUARDED, "client"),
        listener(world, ELSEWHERE, "client"),
    )
    for space in (GUARDED, ELSEWHERE):
        world.kube.delete("v1", "Namespace", space)


@pytest.fixture
def only_deny(world: World, pods: Pods) -> Iterator[None]:
    """Remove the policies that the test made."""
    yield
    for found in world.kube.list("networking.k8s.io/v1", "NetworkPolicy", GUARDED):
        if found["metadata"]["name"] != "default-deny":
            world.kube.delete("networking.k8s.io/v1", "NetworkPolicy", found["metadata"]["name"], GUARDED)


def _agent(world: World) -> ProcessId:
    (pid,) = with_argument(world.node.group, "mlops_platform.clusters.host.firewall.agent")
    identity = ProcessId.of(pid)
    assert identity
    return identity


def _enforced(world: World) -> None:
    wait_until("policies", lambda: Pending(w) if (w := world.provider.alive()) else True, seconds=120)


def _unenforced(world: World, *why: str) -> None:
    """Wait until the provider reports it; a busy machine may report another fault first."""

    def observe() -> bool | Pending:
        said = world.provider.alive()
        return all(each in said for each in ("network policies are not enforced", *why)) or Pending(said)

    wait_until("a fault", observe, seconds=120)


def _to(speaker: Speaker, *ports: int) -> list[End]:
    return [(speaker.address, port) for port in ports]


def test_agent_may_read_three_kinds_and_nothing_else(world: World) -> None:
    api = Api(world.node, world.node.pki, "firewall")
    assert api.request("GET", "/api/v1/pods?limit=1")[0] == 200
    for method, path in (
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/namespaces/test"),
        ("POST", "/apis/networking.k8s.io/v1/namespaces/test/networkpolicies"),
    ):
        assert api.request(method, path, {})[0] == 403, path


def test_only_connections_that_policies_allow_succeed(world: World, pods: Pods, only_deny: None) -> None:
    web = _to(pods.web, 8080, 9090)
    pods.client.settles(dict.fromkeys(web, False))
    from_client = [{"podSelector": {"matchLabels": {"app": "client"}}}]
    world.kube.apply(
        policy(GUARDED, "web", {**TO_WEB, "ingress": [{"from": from_client, "ports": [{"port": 8080}]}]}),
        policy(
            GUARDED,
            "client",
            {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": [{}]},
        ),
        _service(),
    )
    service = world.kube.get("v1", "Service", "web", GUARDED)
    assert service
    through = service["spec"]["clusterIP"], 80
    pods.client.settles({web[0]: True, web[1]: False, through: True})
    pods.stranger.settles({web[0]: False, web[1]: False, through: False})
    # It may call only itself, also through its Service.
    pods.web.settles({through: True, _to(pods.client, 8080)[0]: False, _to(pods.stranger, 8080)[0]: False})


def _service() -> dict[str, object]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    meta = {"name": "web", "namespace": GUARDED}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def test_names_resolve_if_a_policy_allows_port_53(world: World, pods: Pods, only_deny: None) -> None:
    """Usual policies allow port 53, so CoreDNS must listen there, also without privileges."""
    dns = {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    world.kube.apply(policy(GUARDED, "dns", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [dns]}))
    ends: dict[End, bool] = {
        (str(world.node.dns_service), 53): True,
        (str(world.node.api_service), 443): False,
        (pods.web.address, 8080): False,
    }
    pods.client.settles(ends)
    world.kube.apply(
        pod(world.images.reference(PROBE), "asks", ("lookup=kubernetes.default",), space=GUARDED)
    )
    until(world, GUARDED, "asks", lambda status: status.get("phase") == "Succeeded")
    assert f"[{world.node.api_service}] <nil>" in world.kube.logs(GUARDED, "asks")


def test_outside_and_api_server_are_allowed_by_address(world: World, pods: Pods, only_deny: None) -> None:
    api_server = (str(world.node.address), API_PORT)
    service = (str(world.node.api_service), 443)
    kubelet = (str(world.node.address), 10250)
    with outside_host(world) as outside:
        (host,) = _to(outside, 8080)
        pods.stranger.settles({host: True, api_server: True})
        pods.client.settles({host: False, api_server: False, service: False, kubelet: False})
        world.kube.apply(
            policy(
                GUARDED,
                "out",
                {
                    "podSelector": {"matchLabels": {"app": "client"}},
                    "policyTypes": ["Egress"],
                    "egress": [
                        {"to": [{"ipBlock": {"cidr": f"{host[0]}/32"}}], "ports": [{"port": host[1]}]},
                        {"to": [{"ipBlock": {"cidr": f"{api_server[0]}/32"}}], "ports": [{"port": API_PORT}]},
                    ],
                },
            )
        )
        pods.client.settles({host: True, api_server: True, service: True, kubelet: False})
        assert pods.web.reaches(host, api_server) == [False, False]
        assert outside.reaches(*_to(pods.web, 8080), *_to(pods.stranger, 8080)) == [False, True]


def test_rules_stay_when_agent_is_killed_and_restarts(world: World, pods: Pods) -> None:
    web = _to(pods.web, 8080)
    starts = world.supervision.daemons()["firewall"].starts
    kill(_agent(world))
    assert pods.stranger.reaches(*web, *_to(pods.client, 8080)) == [False, False]
    wait_until(
        "another agent",
        lambda: world.supervision.daemons()["firewall"].starts > starts or Pending("not yet"),
        seconds=20,
    )
    _enforced(world)
    # The new agent knows the running pods: web is still isolated, the pod elsewhere is not.
    api_server = (str(world.node.address), API_PORT)
    pods.stranger.settles({api_server: True, web[0]: False})
    assert pods.web.reaches(api_server) == [False]


def test_no_pod_starts_while_agent_does_not_answer(world: World, pods: Pods) -> None:
    agent = _agent(world)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        world.kube.apply(pod(world.images.reference(PROBE), "late", ("wait",), space=GUARDED))
        _unenforced(world)
        # containerd makes the sandbox: the plugin of this pod is waiting.
        plugin = (world.node.group, "/firewall/plugin.py")
        wait_until("the plugin", lambda: with_argument(*plugin) or Pending("not called"), seconds=120)
        found = world.kube.get("v1", "Pod", "late", GUARDED)
        assert found and found["status"]["phase"] == "Pending" and not found["status"].get("podIP")
        assert pods.stranger.reaches(*_to(pods.web, 8080)) == [False]
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    until(world, GUARDED, "late", lambda status: status.get("phase") == "Running")
    _enforced(world)


def test_rejected_rules_are_reported_and_retried_until_they_load(world: World, pods: Pods) -> None:
    """Another process takes the table with the flag `owner`, so that the agent may not change it."""
    running = world.supervision.running()
    assert running
    inside = ["nsenter", "-t", str(running.init.pid), "-n", "--", "nft", "--interactive"]
    owner = subprocess.Popen(
        inside, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert owner.stdin
        owner.stdin.write("delete table inet policies\nadd table inet policies { flags owner; }\n")
        owner.stdin.flush()
        wait_until("the other owner", lambda: _owned(running.init.pid) or Pending("not yet"), seconds=20)
        world.kube.apply(pod(world.images.reference(PROBE), "rejected", ("wait",), space=GUARDED))
        _unenforced(world, "not permitted")
        event = wait_until("the pod's event", lambda: _event(world, "rejected"), seconds=120)
        assert "firewall: " in event and "not permitted" in event
    finally:
        owner.communicate(timeout=20)
    _enforced(world)
    assert pods.stranger.reaches(*_to(pods.web, 8080)) == [False]
    world.kube.delete("v1", "Pod", "rejected", GUARDED)


def _owned(init: int) -> bool:
    listed = subprocess.run(
        ["nsenter", "-t", str(init), "-n", "--", "nft", "list", "table", "inet", "policies"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return "flags owner" in listed


def _event(world: World, name: str) -> str | Pending:
    for event in world.kube.list("v1", "Event", GUARDED):
        if event["involvedObject"]["name"] == name and event["reason"] == "FailedCreatePodSandBox":
            return str(event["message"])
    return Pending("no event")


def test_applied_policy_is_enforced_every_time(world: World, pods: Pods, only_deny: None) -> None:
    """The benchmark measures how fast; here it must happen every time."""
    world.kube.apply(OPEN_EGRESS)
    took = latencies(world, pods.client, pods.web.address, OPEN_INGRESS, times=5)
    print(f"\npolicy to enforced: {statistics.median(took) * 1000:.0f} ms, {max(took) * 1000:.0f} at most")
    assert len(took) == 10


def test_pod_security_rejects_host_network_which_no_policy_filters(world: World, pods: Pods) -> None:
    asked = pod(world.images.reference(PROBE), "host", ("wait",), space=GUARDED)
    asked["spec"]["hostNetwork"] = True
    with pytest.raises(KubeError) as caught:
        world.kube.apply(asked)
    assert "host namespaces" in caught.value.why


@pytest.mark.parametrize("number", [6, pytest.param(1000, marks=pytest.mark.soak)])
def test_new_pod_has_no_free_and_no_lost_first_connection(
    world: World, pods: Pods, only_deny: None, number: int
) -> None:
    world.kube.apply(*TO_WEB_ONLY)
    pods.client.settles({(pods.web.address, 8080): True, (pods.web.address, 9090): False})
    seen = first_connections(world, GUARDED, pods.web.address, number)
    print(f"\n{seen.free} free and {seen.lost} lost first connections in {number} pod starts")
    assert seen == FirstConnections(free=0, lost=0)
