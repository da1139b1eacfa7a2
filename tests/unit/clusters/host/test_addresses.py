"""A node's addresses overlap no other network."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from mlops_platform.base.errors import PreflightError
from mlops_platform.clusters.host.addresses import POOLS, candidates, claimed_beside, pick

from tests.unit.clusters.host.made import a_node


def test_search_starts_at_different_candidates_and_finds_every_range() -> None:
    assert pick([]) == IPv4Network("10.64.0.0/16")
    assert pick([], first=5) == IPv4Network("10.69.0.0/16")
    assert len(set(candidates(12345))) == len(candidates()) == 64


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (["10.64.0.0/30"], "10.65.0.0/16"),
        (["10.64.0.0/12"], "10.80.0.0/16"),
        (["10.0.0.0/8"], "100.96.0.0/16"),
        (["192.168.0.0/16", "10.64.255.255/32"], "10.65.0.0/16"),
    ],
)
def test_routed_networks_are_not_used(taken: list[str], expected: str) -> None:
    assert pick(map(IPv4Network, taken)) == IPv4Network(expected)


def test_error_without_free_range_lists_used_networks() -> None:
    with pytest.raises(PreflightError) as caught:
        pick(POOLS)
    assert "10.64.0.0/11" in caught.value.why


def test_stopped_environments_of_a_home_keep_their_ranges(tmp_path: Path) -> None:
    for name, range_ in (("a", "10.64.0.0/16"), ("b", "10.65.0.0/16")):
        (tmp_path / name / "node").mkdir(parents=True)
        a_node(tmp_path / name / "node", range_).write()
    (tmp_path / "broken" / "node").mkdir(parents=True)
    (tmp_path / "broken" / "node" / "node.json").write_text("{")
    assert claimed_beside(tmp_path / "a" / "node") == (IPv4Network("10.65.0.0/16"),)
