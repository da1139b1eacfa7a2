"""Owns the table as text: what it decides is proven with packets (tests/integration/firewall)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_platform.clusters.host.firewall.model import Policy
from mlops_platform.clusters.host.firewall.render import Snapshot, render

from tests.integration.firewall.cast import RANGE, everybody
from tests.unit.clusters.host.firewall.objects import a_policy

GOLDEN = Path(__file__).parent / "golden"
Golden = Callable[[Path, str], None]


def _policies() -> tuple[Policy, ...]:
    clients = [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "client"}}}]
    ports = [{"port": "http"}, {"port": 9000, "endPort": 9010, "protocol": "SCTP"}]
    named = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}
    out = [named, {"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/28", "192.0.2.0/27"]}}]}]
    return (
        Policy.of(a_policy("default-deny", policyTypes=["Ingress", "Egress"])),
        Policy.of(
            a_policy(
                "web",
                podSelector={"matchLabels": {"app": "web"}},
                policyTypes=["Ingress", "Egress"],
                ingress=[{"from": clients, "ports": ports}],
                egress=out,
            )
        ),
    )


def test_a_table(golden: Golden) -> None:
    golden(GOLDEN / "table.nft", render(everybody(_policies()), RANGE))


def test_nobody_and_nothing(golden: Golden) -> None:
    golden(GOLDEN / "empty.nft", render(Snapshot((), {}, {}, ()), RANGE))


def test_the_order_in_which_things_are_known_does_not_matter() -> None:
    """Or every list that comes in another order would be a new table."""
    snapshot = everybody(_policies())
    turned = Snapshot(
        snapshot.pods[::-1],
        dict(reversed(list(snapshot.addresses.items()))),
        dict(reversed(list(snapshot.namespaces.items()))),
        snapshot.policies[::-1],
    )
    assert render(turned, RANGE) == render(snapshot, RANGE)


def test_a_name_as_long_as_kubernetes_allows_fits_a_comment() -> None:
    long = a_policy("p" * 253)
    long["metadata"]["namespace"] = "app"
    text = render(everybody((Policy.of(long),)), RANGE)
    assert max(len(line.split('comment "')[1]) for line in text.splitlines() if "comment" in line) <= 128
