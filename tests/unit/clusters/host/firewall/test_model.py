"""Reading of objects; the case files of tests/cases/firewall show what selectors match."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from mlops_platform.clusters.host.firewall.model import Peer, Pod, Policy, Selector

from tests.unit.clusters.host.firewall.objects import a_pod, a_policy


def test_named_ports_include_sidecars_but_no_other_init_containers() -> None:
    def ports(name: str, number: int) -> dict[str, object]:
        return {"ports": [{"name": name, "containerPort": number}, {"containerPort": 1}]}

    pod = Pod.of(
        a_pod(
            "1",
            containers=[ports("http", 80)],
            initContainers=[ports("early", 1), {**ports("side", 81), "restartPolicy": "Always"}],
        )
    )
    assert pod and pod.ports == {("http", "tcp"): 80, ("side", "tcp"): 81}


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({"policyTypes": None}, (True, False)),
        ({"policyTypes": None, "egress": [{}]}, (True, True)),
        ({"policyTypes": ["Egress"]}, (False, True)),
        ({"policyTypes": ["Ingress", "Egress"]}, (True, True)),
    ],
)
def test_policy_isolates_the_directions_of_its_types(
    spec: dict[str, Any], directions: tuple[bool, bool]
) -> None:
    policy = Policy.of(a_policy("p", **spec))
    assert (policy.ingress is not None, policy.egress is not None) == directions


@pytest.mark.parametrize(
    ("cidr", "network"),
    [
        ("010.0.0.0/8", "10.0.0.0/8"),
        ("010.001.2.3/016", "10.1.0.0/16"),
        ("00.0.0.0/00", "0.0.0.0/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("0::0ffff:010.0.0.1/128", "10.0.0.1/32"),
    ],
)
def test_block_is_read_as_api_server_reads_it(cidr: str, network: str) -> None:
    peer = Peer.of({"ipBlock": {"cidr": cidr, "except": [cidr]}})
    assert peer == Peer(block=IPv4Network(network), excepted=(IPv4Network(network),))


@pytest.mark.parametrize("cidr", ["::/0", "2001:db8::/32", "00fe80::10.0.0.1/64"])
def test_ipv6_block_names_no_pod(cidr: str) -> None:
    assert Peer.of({"ipBlock": {"cidr": cidr}}) is None


_SELECTED = {
    "podSelector": {"matchLabels": {"app": "web"}},
    "policyTypes": ["Ingress", "Egress"],
    "egress": [{}],
}


@pytest.mark.parametrize(
    "spec",
    [
        {**_SELECTED, "ingress": [{}, {"ports": [{"protocol": "ICMP"}]}]},
        {**_SELECTED, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]},
        {**_SELECTED, "ingress": [{"from": [{"ipBlock": {}}]}]},
        {**_SELECTED, "egress": [{"to": [{"podSelector": {"matchLabels": ["app"]}}]}]},
        {**_SELECTED, "egress": ["all"]},
    ],
)
def test_policy_that_cannot_be_read_denies_pods_that_it_selects(
    spec: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    policy = Policy.of(a_policy("odd", **spec))
    assert policy == Policy("app", "odd", Selector.of({"matchLabels": {"app": "web"}}), (), ())
    assert "policy app/odd cannot be read" in caplog.text


def test_policy_with_unknown_operator_denies_every_pod_of_its_namespace() -> None:
    unknown = {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}
    assert Policy.of(a_policy("odd", podSelector=unknown)) == Policy("app", "odd", Selector(), (), None)
