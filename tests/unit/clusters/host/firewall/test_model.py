"""Owns the proof of what is read of objects; what selectors choose, the case files of the firewall show."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.clusters.host.firewall.model import Pod, Policy, Selector, Unreadable

from tests.unit.clusters.host.firewall.objects import a_pod, a_policy


def test_named_ports_also_of_sidecars_but_not_of_what_ends_before_the_pod_serves() -> None:
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
def test_which_directions_a_policy_is_about(spec: dict[str, Any], directions: tuple[bool, bool]) -> None:
    policy = Policy.of(a_policy("p", **spec))
    assert (policy.ingress is not None, policy.egress is not None) == directions


def test_an_operator_nobody_knows_is_not_guessed() -> None:
    selector = Selector.of({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]})
    with pytest.raises(Unreadable, match="Like"):
        selector.matches({"a": "b"})
