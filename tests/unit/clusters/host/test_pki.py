"""Owns the proof that keys are made once, renewed in time, and readable by root only."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from cryptography import x509
from mlops_platform.clusters.host import pki, renewal
from mlops_platform.clusters.host.layout import Node

from tests.unit.clusters.host.made import a_node

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = a_node(tmp_path / "node")
    pki.ensure(node, tmp_path / "kubeconfig", now=NOW)
    return node


def _files(node: Node) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in node.pki.iterdir()}


def _ensure(node: Node, now: datetime = NOW) -> set[str]:
    """The names of the files that a second run changed."""
    before = _files(node)
    pki.ensure(node, node.folder.parent / "kubeconfig", now=now)
    return {name for name, text in _files(node).items() if before.get(name) != text}


def test_a_second_run_changes_nothing(node: Node) -> None:
    assert _ensure(node) == set()


def test_nobody_else_may_read_them(node: Node) -> None:
    assert {p.stat().st_mode & 0o077 for p in (node.pki, *node.pki.iterdir())} == {0}
    assert (node.folder.parent / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_the_kubeconfig_names_the_node_and_holds_its_keys(node: Node) -> None:
    document = json.loads((node.folder.parent / "kubeconfig").read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://10.77.0.2:6443"
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_every_certificate_is_signed_and_named_as_it_should_be(node: Node) -> None:
    for identity in pki.identities(node):
        certificate = x509.load_pem_x509_certificate((node.pki / f"{identity.file}.crt").read_bytes())
        authority = x509.load_pem_x509_certificate((node.pki / f"{identity.authority}.crt").read_bytes())
        certificate.verify_directly_issued_by(authority)
        assert f"CN={identity.common_name}" in certificate.subject.rfc4514_string()


def test_what_ends_soon_is_renewed_and_said(node: Node) -> None:
    late = NOW + timedelta(days=pki.CERTIFICATE_DAYS) - renewal.RENEW + timedelta(hours=1)
    assert renewal.due(node, NOW) == ""
    assert "29 days" in renewal.due(node, late)
    changed = _ensure(node, late)
    assert {f"{identity.file}.crt" for identity in pki.identities(node)} <= changed
    assert not {"ca.crt", "ca.key", "service-account.key", "encryption.json"} & changed
    assert renewal.due(node, late) == ""


def test_other_addresses_take_other_certificates_for_servers_only(node: Node) -> None:
    moved = replace(node, range=IPv4Network("10.78.0.0/16"))
    changed = _ensure(moved)
    assert {name for name in changed if name.endswith(".crt")} == {"apiserver.crt", "kubelet.crt"}


def test_a_key_that_does_not_fit_its_certificate_is_replaced(node: Node) -> None:
    """A kill between the two writes of a renewal leaves that."""
    (node.pki / "admin.key").write_bytes((node.pki / "scheduler.key").read_bytes())
    assert {"admin.crt", "admin.key"} <= _ensure(node)
    certificate = x509.load_pem_x509_certificate((node.pki / "admin.crt").read_bytes())
    assert pki._belongs(node.pki / "admin.key", certificate)


def test_another_authority_takes_all_new_certificates(node: Node) -> None:
    (node.pki / "ca.crt").unlink()
    changed = _ensure(node)
    assert {"apiserver.crt", "kubelet.crt", "admin.crt"} <= changed
    assert "front-proxy.crt" not in changed
