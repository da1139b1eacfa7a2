"""The table as text; tests/integration/firewall checks its decisions with packets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_platform.clusters.host.firewall.model import Policy
from mlops_platform.clusters.host.firewall.render import Snapshot, render

from tests.integration.firewall.pods import RANGE, snapshot_with
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


def test_table_of_two_policies(golden: Golden) -> None:
    golden(GOLDEN / "table.nft", render(snapshot_with(_policies()), RANGE))


def test_table_without_pods_and_policies(golden: Golden) -> None:
    golden(GOLDEN / "empty.nft", render(Snapshot((), {}, {}, ()), RANGE))


def test_order_of_objects_does_not_change_the_table() -> None:
    """Otherwise every list in another order would load a new table."""
    snapshot = snapshot_with(_policies())
    turned = Snapshot(
        snapshot.pods[::-1],
        dict(reversed(list(snapshot.addresses.items()))),
        dict(reversed(list(snapshot.namespaces.items()))),
        snapshot.policies[::-1],
    )
    assert render(turned, RANGE) == render(snapshot, RANGE)


def test_longest_policy_name_fits_a_comment() -> None:
    long = a_policy("p" * 253)
    long["metadata"]["namespace"] = "app"
    text = render(snapshot_with((Policy.of(long),)), RANGE)
    assert max(len(line.split('comment "')[1]) for line in text.splitlines() if "comment" in line) <= 128
