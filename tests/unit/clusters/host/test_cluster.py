"""Owns the proof of what the provider decides before any node is started."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.base import Cluster
from mlops_platform.clusters.host.cluster import _fingerprint
from mlops_platform.clusters.host.layout import Node
from mlops_platform.clusters.host.version import KUBERNETES, kubernetes_version, require_pinned_version

from tests.unit.clusters.host.made import a_node, a_provider


def test_it_is_a_cluster_provider(tmp_path: Path) -> None:
    provider: Cluster = a_provider(tmp_path)
    able = provider.capabilities
    assert (provider.name, able.embedded, able.external_resources) == ("host", True, False)


def test_the_programs_are_told_the_version_that_is_pinned() -> None:
    """Without it they call themselves v0.0.0-master, and charts with a kubeVersion are refused."""
    major, minor, _ = kubernetes_version().split(".")
    flags = dict(line.rsplit("=", 1) for line in (KUBERNETES.module / "ldflags").read_text().split())
    by_name = {key.rsplit(".", 1)[1]: value for key, value in flags.items()}
    assert by_name["gitVersion"] == f"v{kubernetes_version()}"
    assert (by_name["gitMajor"], by_name["gitMinor"]) == (major, minor)


def test_another_version_of_kubernetes_is_refused_with_the_one_there_is() -> None:
    require_pinned_version(None, "demo")
    require_pinned_version(f"v{kubernetes_version()}", "demo")
    with pytest.raises(ConfigurationError) as caught:
        require_pinned_version("1.20.0", "demo")
    assert kubernetes_version() in caught.value.why


def test_the_fingerprint_is_of_what_the_node_is_started_with() -> None:
    node = a_node()
    assert _fingerprint(node) == _fingerprint(replace(node, pause_archive=Path("/elsewhere.tar")))
    for other in (
        replace(node, kubernetes=Path("/cache/programs/kubernetes-2")),
        replace(node, range=IPv4Network("10.78.0.0/16")),
    ):
        assert _fingerprint(other) != _fingerprint(node)


def test_preparing_twice_keeps_addresses_and_keys(tmp_path: Path) -> None:
    provider = a_provider(tmp_path)
    assert provider.variables()["ca"] == ""
    provider.prepare(Silent())
    before = provider.variables()
    assert before["ca"].startswith("-----BEGIN CERTIFICATE-----")
    provider.prepare(Silent())
    assert provider.variables() == before
    assert "PRIVATE" not in json.dumps(dict(before))


def test_a_node_with_data_keeps_its_addresses_also_when_they_are_taken(tmp_path: Path) -> None:
    """127.0.0.0/8 is on this machine: a fresh node moves, one with data must not."""
    provider = a_provider(tmp_path)
    provider.prepare(Silent())
    taken = replace(Node.read(provider.place.file), range=IPv4Network("127.0.0.0/16"))
    taken.write()
    assert provider.variables()["endpoint"] != taken.endpoint
    (provider.folder / "etcd" / "member").mkdir(parents=True)
    assert provider.variables()["endpoint"] == taken.endpoint


def test_files_go_but_for_what_brings_the_data_back(tmp_path: Path) -> None:
    provider = a_provider(tmp_path)
    provider.prepare(Silent())
    for name in ("etcd", "volumes", "containerd", "kubelet"):
        (provider.folder / name).mkdir()
    provider.teardown.destroy_files(keep_data=True, progress=Silent())
    assert {p.name for p in provider.folder.iterdir()} == {
        "etcd",
        "volumes",
        "pki",
        "node.json",
        "containerd",
    }
    assert not provider.kubeconfig.exists()
    provider.teardown.destroy_files(keep_data=False, progress=Silent())
    assert not provider.folder.exists()
    provider.teardown.destroy_files(keep_data=False, progress=Silent())


def test_looking_and_sweeping_need_no_node_file(tmp_path: Path) -> None:
    provider = a_provider(tmp_path)
    assert list(provider.teardown.inventory()) == []
    provider.folder.mkdir(parents=True)
    (provider.folder / "node.json").write_text("{ broken")
    assert [found.kind for found in provider.teardown.inventory()] == ["file"]
    provider.teardown.sweep(provider.teardown.inventory(), Silent())
    provider.teardown.destroy_files(keep_data=False, progress=Silent())
    assert list(provider.teardown.inventory()) == []
    assert provider.alive() == "the node was never made"
