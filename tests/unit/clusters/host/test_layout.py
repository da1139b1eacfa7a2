"""Names of a node are short enough, and its address ranges do not overlap."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host.layout import Node, Place

from tests.unit.clusters.host.made import a_node


def test_node_file_is_read_as_written(tmp_path: Path) -> None:
    node = a_node(tmp_path)
    node.write()
    assert Node.read(node.file) == node
    assert node.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"environment": "a", "folder": "/x", "range": "no"}'])
def test_invalid_node_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.json").write_text(text)
    with pytest.raises(StepError, match="cannot be read") as caught:
        Node.read(tmp_path / "node.json")
    assert caught.value.hint


def test_parts_of_a_range_do_not_overlap() -> None:
    node = a_node()
    for one, other in itertools.combinations((node.link, node.services, node.pods), 2):
        assert not one.overlaps(other)
        assert one.subnet_of(node.range)
    assert node.address in node.link and node.host_address in node.link
    assert node.dns_service in node.services and node.dns_service != node.api_service


def test_longest_name_fits_an_interface_and_homes_differ() -> None:
    place = Place("a" * 20, Path("/home/one/node"))
    other = replace(place, folder=Path("/home/two/node"))
    assert len(place.interface) <= 15
    assert (place.interface, place.group) != (other.interface, other.group)
