"""The OIDC issuer of a node: its files, and that a restart keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.clusters.base import TrustedIssuer
from mlops_platform.clusters.host import config, sign_in
from mlops_platform.clusters.host.layout import Node

from tests.unit.clusters.host.made import a_node

ISSUER = TrustedIssuer(
    url="https://login.test.localhost:8443/issuer",
    audience="client",
    authority="a certificate",
    name_claim="preferred_username",
    groups_claim="groups",
    address="10.0.0.9",
)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = replace(a_node(), folder=tmp_path)
    config.write(made)
    return made


def trust(node: Node) -> None:
    files = config.with_issuer(node, ISSUER)
    sign_in.write(node, ISSUER, files["authentication.json"], files["hosts"])


def authentication(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((node.config / "authentication.json").read_text())
    return found


def test_node_has_no_issuer_at_first(node: Node) -> None:
    assert sign_in.read(node) is None
    assert "jwt" not in authentication(node)


def test_issuer_is_added_and_anonymous_access_stays(node: Node) -> None:
    before = authentication(node)
    trust(node)
    after = authentication(node)
    (jwt,) = after.pop("jwt")
    assert after == before
    assert jwt["issuer"] == {
        "url": ISSUER.url,
        "audiences": ["client"],
        "certificateAuthority": "a certificate",
    }
    assert len(jwt["userValidationRules"]) == 2
    assert sign_in.read(node) == ISSUER


def test_mounted_hosts_file_is_changed_in_place(node: Node) -> None:
    """The file is mounted in the running node: a new file would not be seen there."""
    hosts = node.config / "hosts"
    inode = hosts.stat().st_ino
    trust(node)
    assert hosts.read_text().splitlines()[-1] == "10.0.0.9 login.test.localhost"
    assert hosts.stat().st_ino == inode
    config.write(node)  # `up` of a node that keeps running
    assert hosts.stat().st_ino == inode


def test_issuer_stays_when_files_are_written_again(node: Node) -> None:
    trust(node)
    written = {file.name: file.read_text() for file in node.config.iterdir() if file.is_file()}
    (node.config / "authentication.json").unlink()
    config.write(node)
    assert {file.name: file.read_text() for file in node.config.iterdir() if file.is_file()} == written


def test_issuer_is_no_reason_to_restart_the_node(node: Node) -> None:
    before = config.render(node)
    trust(node)
    assert config.render(node) == before
