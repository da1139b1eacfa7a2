"""Owns the proof that NetworkPolicies hold on a real node: for new pods, after kills, when nft fails."""

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
class Cast:
    """Two pods behind a default deny, and one with the labels of one of them in another namespace."""

    web: Speaker
    client: Speaker
    stranger: Speaker


@pytest.fixture(scope="module")
def cast(world: World) -> Iterator[Cast]:
    world.kube.apply(namespace(GUARDED), namespace(ELSEWHERE), DENY)
    yield Cast(
        listener(world, GUARDED, "web"),
        listener(world, GUARDED, "client"),
        listener(world, ELSEWHERE, "client"),
    )
    for space in (GUARDED, ELSEWHERE):
        world.kube.delete("v1", "Namespace", space)


@pytest.fixture
def only_deny(world: World, cast: Cast) -> Iterator[None]:
    """Whatever policies a test makes go with it."""
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
    """Until the provider says so: a busy machine may have something else to say first."""

    def observe() -> bool | Pending:
        said = world.provider.alive()
        return all(each in said for each in ("network policies are not enforced", *why)) or Pending(said)

    wait_until("a fault", observe, seconds=120)


def _to(speaker: Speaker, *ports: int) -> list[End]:
    return [(speaker.address, port) for port in ports]


def test_the_agent_may_read_three_kinds_and_nothing_else(world: World) -> None:
    api = Api(world.node, world.node.pki, "firewall")
    assert api.request("GET", "/api/v1/pods?limit=1")[0] == 200
    for method, path in (
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/namespaces/test"),
        ("POST", "/apis/networking.k8s.io/v1/namespaces/test/networkpolicies"),
    ):
        assert api.request(method, path, {})[0] == 403, path


def test_only_what_a_policy_names_is_reached(world: World, cast: Cast, only_deny: None) -> None:
    web = _to(cast.web, 8080, 9090)
    cast.client.settles(dict.fromkeys(web, False))
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
    cast.client.settles({web[0]: True, web[1]: False, through: True})
    cast.stranger.settles({web[0]: False, web[1]: False, through: False})
    # It may not call anybody, but for itself, also in a roundabout way.
    cast.web.settles({through: True, _to(cast.client, 8080)[0]: False, _to(cast.stranger, 8080)[0]: False})


def _service() -> dict[str, object]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    meta = {"name": "web", "namespace": GUARDED}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def test_names_resolve_where_a_policy_says_port_53(world: World, cast: Cast, only_deny: None) -> None:
    """The port that everybody's policies name, whatever a DNS server without privileges listens on."""
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
        (cast.web.address, 8080): False,
    }
    cast.client.settles(ends)
    world.kube.apply(
        pod(world.images.reference(PROBE), "asks", ("lookup=kubernetes.default",), space=GUARDED)
    )
    until(world, GUARDED, "asks", lambda status: status.get("phase") == "Succeeded")
    assert f"[{world.node.api_service}] <nil>" in world.kube.logs(GUARDED, "asks")


def test_outside_and_the_api_server_only_by_their_addresses(
    world: World, cast: Cast, only_deny: None
) -> None:
    api_server = (str(world.node.address), API_PORT)
    service = (str(world.node.api_service), 443)
    kubelet = (str(world.node.address), 10250)
    with outside_host(world) as outside:
        (host,) = _to(outside, 8080)
        cast.stranger.settles({host: True, api_server: True})
        cast.client.settles({host: False, api_server: False, service: False, kubelet: False})
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
        cast.client.settles({host: True, api_server: True, service: True, kubelet: False})
        assert cast.web.reaches(host, api_server) == [False, False]
        assert outside.reaches(*_to(cast.web, 8080), *_to(cast.stranger, 8080)) == [False, True]


def test_rules_stay_when_the_agent_is_killed_and_it_comes_back(world: World, cast: Cast) -> None:
    web = _to(cast.web, 8080)
    starts = world.supervision.daemons()["firewall"].starts
    kill(_agent(world))
    assert cast.stranger.reaches(*web, *_to(cast.client, 8080)) == [False, False]
    wait_until(
        "another agent",
        lambda: world.supervision.daemons()["firewall"].starts > starts or Pending("not yet"),
        seconds=20,
    )
    _enforced(world)
    # What it knew of pods that run is still known: the web pod's own egress, the stranger's freedom.
    api_server = (str(world.node.address), API_PORT)
    cast.stranger.settles({api_server: True, web[0]: False})
    assert cast.web.reaches(api_server) == [False]


def test_no_pod_starts_while_the_agent_does_not_answer(world: World, cast: Cast) -> None:
    agent = _agent(world)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        world.kube.apply(pod(world.images.reference(PROBE), "late", ("wait",), space=GUARDED))
        _unenforced(world)
        # The sandbox has been asked for: the plugin of this pod is waiting.
        plugin = (world.node.group, "/firewall/plugin.py")
        wait_until("it", lambda: with_argument(*plugin) or Pending("not asked for"), seconds=120)
        found = world.kube.get("v1", "Pod", "late", GUARDED)
        assert found and found["status"]["phase"] == "Pending" and not found["status"].get("podIP")
        assert cast.stranger.reaches(*_to(cast.web, 8080)) == [False]
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    until(world, GUARDED, "late", lambda status: status.get("phase") == "Running")
    _enforced(world)


def test_rules_that_nft_refuses_are_told_and_tried_until_they_hold(world: World, cast: Cast) -> None:
    """Somebody else takes the table: only the owner of one that is owned may change it."""
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
        wait_until("the theft", lambda: _owned(running.init.pid) or Pending("not yet"), seconds=20)
        world.kube.apply(pod(world.images.reference(PROBE), "refused", ("wait",), space=GUARDED))
        _unenforced(world, "not permitted")
        event = wait_until("the pod's event", lambda: _event(world, "refused"), seconds=120)
        assert "firewall: " in event and "not permitted" in event
    finally:
        owner.communicate(timeout=20)
    _enforced(world)
    assert cast.stranger.reaches(*_to(cast.web, 8080)) == [False]
    world.kube.delete("v1", "Pod", "refused", GUARDED)


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


def test_a_policy_is_enforced_moments_after_it_is_applied(world: World, cast: Cast, only_deny: None) -> None:
    """The figure is the bench's; here it only has to be so every time."""
    world.kube.apply(OPEN_EGRESS)
    took = latencies(world, cast.client, cast.web.address, OPEN_INGRESS, times=5)
    print(f"\npolicy to enforced: {statistics.median(took) * 1000:.0f} ms, {max(took) * 1000:.0f} at most")
    assert len(took) == 10


def test_no_pod_may_use_the_hosts_network_which_no_policy_filters(world: World, cast: Cast) -> None:
    asked = pod(world.images.reference(PROBE), "host", ("wait",), space=GUARDED)
    asked["spec"]["hostNetwork"] = True
    with pytest.raises(KubeError) as caught:
        world.kube.apply(asked)
    assert "host namespaces" in caught.value.why


@pytest.mark.parametrize("number", [6, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_new_pod_sends_nothing_it_may_not_and_loses_nothing_it_may(
    world: World, cast: Cast, only_deny: None, number: int
) -> None:
    world.kube.apply(*TO_WEB_ONLY)
    cast.client.settles({(cast.web.address, 8080): True, (cast.web.address, 9090): False})
    seen = first_connections(world, GUARDED, cast.web.address, number)
    print(f"\n{seen.free} free and {seen.lost} lost first connections in {number} pod starts")
    assert seen == FirstConnections(free=0, lost=0)
