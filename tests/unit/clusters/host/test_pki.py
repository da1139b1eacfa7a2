"""Keys are created once, renewed in time, and readable only by root."""

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
    """Return the names of the files that a second run changed."""
    before = _files(node)
    pki.ensure(node, node.folder.parent / "kubeconfig", now=now)
    return {name for name, text in _files(node).items() if before.get(name) != text}


def test_second_run_changes_no_file(node: Node) -> None:
    assert _ensure(node) == set()


def test_keys_are_readable_only_by_root(node: Node) -> None:
    assert {p.stat().st_mode & 0o077 for p in (node.pki, *node.pki.iterdir())} == {0}
    assert (node.folder.parent / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_kubeconfig_has_address_and_keys(node: Node) -> None:
    document = json.loads((node.folder.parent / "kubeconfig").read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://10.77.0.2:6443"
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_certificates_have_their_issuer_and_names(node: Node) -> None:
    for identity in pki.identities(node):
        certificate = x509.load_pem_x509_certificate((node.pki / f"{identity.file}.crt").read_bytes())
        authority = x509.load_pem_x509_certificate((node.pki / f"{identity.authority}.crt").read_bytes())
        certificate.verify_directly_issued_by(authority)
        assert f"CN={identity.common_name}" in certificate.subject.rfc4514_string()


def test_certificate_that_expires_soon_is_renewed(node: Node) -> None:
    late = NOW + timedelta(days=pki.CERTIFICATE_DAYS) - renewal.RENEW + timedelta(hours=1)
    assert renewal.due(node, NOW) == ""
    assert "29 days" in renewal.due(node, late)
    changed = _ensure(node, late)
    assert {f"{identity.file}.crt" for identity in pki.identities(node)} <= changed
    assert not {"ca.crt", "ca.key", "service-account.key", "encryption.json"} & changed
    assert renewal.due(node, late) == ""


def test_other_addresses_replace_server_certificates_only(node: Node) -> None:
    moved = replace(node, range=IPv4Network("10.78.0.0/16"))
    changed = _ensure(moved)
    assert {name for name in changed if name.endswith(".crt")} == {"apiserver.crt", "kubelet.crt"}


def test_key_without_its_certificate_is_replaced(node: Node) -> None:
    """A kill between the two writes of a renewal leaves such a pair."""
    (node.pki / "admin.key").write_bytes((node.pki / "scheduler.key").read_bytes())
    assert {"admin.crt", "admin.key"} <= _ensure(node)
    certificate = x509.load_pem_x509_certificate((node.pki / "admin.crt").read_bytes())
    assert pki._belongs(node.pki / "admin.key", certificate)


def test_another_authority_replaces_all_certificates(node: Node) -> None:
    (node.pki / "ca.crt").unlink()
    changed = _ensure(node)
    assert {"apiserver.crt", "kubelet.crt", "admin.crt"} <= changed
    assert "front-proxy.crt" not in changed
