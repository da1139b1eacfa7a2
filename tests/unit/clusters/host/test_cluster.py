"""The host cluster before a node is started: variables, files, inventory."""

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
from mlops_platform.clusters.host.daemons import daemons
from mlops_platform.clusters.host.layout import Node
from mlops_platform.clusters.host.version import KUBERNETES, kubernetes_version, require_pinned_version

from tests.unit.clusters.host.made import a_node, a_provider


def test_host_cluster_has_its_capabilities(tmp_path: Path) -> None:
    provider: Cluster = a_provider(tmp_path)
    able = provider.capabilities
    assert (provider.name, able.embedded, able.external_resources) == ("host", True, False)


def test_programs_are_built_with_the_pinned_version() -> None:
    """Otherwise their version is v0.0.0-master, and charts with a kubeVersion reject it."""
    major, minor, _ = kubernetes_version().split(".")
    flags = dict(line.rsplit("=", 1) for line in (KUBERNETES.module / "ldflags").read_text().split())
    by_name = {key.rsplit(".", 1)[1]: value for key, value in flags.items()}
    assert by_name["gitVersion"] == f"v{kubernetes_version()}"
    assert (by_name["gitMajor"], by_name["gitMinor"]) == (major, minor)


def test_unpinned_version_is_an_error_with_the_pinned_one() -> None:
    require_pinned_version(None, "demo")
    require_pinned_version(f"v{kubernetes_version()}", "demo")
    with pytest.raises(ConfigurationError) as caught:
        require_pinned_version("1.20.0", "demo")
    assert kubernetes_version() in caught.value.why


def test_fingerprint_changes_with_the_inputs_of_the_node() -> None:
    node = a_node()
    assert _fingerprint(node) == _fingerprint(replace(node, pause_archive=Path("/elsewhere.tar")))
    for other in (
        replace(node, kubernetes=Path("/cache/programs/kubernetes-2")),
        replace(node, range=IPv4Network("10.78.0.0/16")),
    ):
        assert _fingerprint(other) != _fingerprint(node)


def test_simulated_gpus_are_said_and_have_a_device_plugin(tmp_path: Path) -> None:
    without, simulating = a_provider(tmp_path), replace(a_provider(tmp_path), simulated_gpus=4)
    assert (without.simulated, without.has_gpus) == ("", False)
    assert (simulating.simulated, simulating.has_gpus) == ("4 simulated GPUs", True)
    assert [p.name for p in simulating.programs if p not in without.programs] == ["gpus"]
    plain = {daemon.name for daemon in daemons(a_node())}
    node = replace(a_node(), simulated_gpus=4, gpus=Path("/cache/programs/gpus-1"))
    (plugin,) = [daemon for daemon in daemons(node) if daemon.name not in plain]
    assert plugin.argv == ("/run/programs/gpus/gpus", "--resource=nvidia.com/gpu", "--count=4")
    assert plugin.needs_api
    assert _fingerprint(node) != _fingerprint(a_node()), "the node restarts"


def test_node_file_of_an_older_version_has_no_simulated_gpus(tmp_path: Path) -> None:
    node = replace(a_node(tmp_path), simulated_gpus=2, gpus=Path("/cache/programs/gpus-1"))
    node.write()
    assert Node.read(node.file) == node
    older = json.loads(node.file.read_text())
    del older["simulated_gpus"], older["gpus"]
    node.file.write_text(json.dumps(older))
    assert Node.read(node.file) == replace(node, simulated_gpus=0, gpus=Path())


def test_second_prepare_keeps_addresses_and_keys(tmp_path: Path) -> None:
    provider = a_provider(tmp_path)
    assert provider.variables()["ca"] == ""
    provider.prepare(Silent())
    before = provider.variables()
    assert before["ca"].startswith("-----BEGIN CERTIFICATE-----")
    provider.prepare(Silent())
    assert provider.variables() == before
    assert "PRIVATE" not in json.dumps(dict(before))


def test_node_with_data_keeps_used_addresses(tmp_path: Path) -> None:
    """127.0.0.0/8 is in use: a new node gets other addresses, one with data keeps them."""
    provider = a_provider(tmp_path)
    provider.prepare(Silent())
    taken = replace(Node.read(provider.place.file), range=IPv4Network("127.0.0.0/16"))
    taken.write()
    assert provider.variables()["endpoint"] != taken.endpoint
    (provider.folder / "etcd" / "member").mkdir(parents=True)
    assert provider.variables()["endpoint"] == taken.endpoint


def test_keep_data_keeps_only_files_that_restore_it(tmp_path: Path) -> None:
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


def test_inventory_and_sweep_need_no_node_file(tmp_path: Path) -> None:
    provider = a_provider(tmp_path)
    assert list(provider.teardown.inventory()) == []
    provider.folder.mkdir(parents=True)
    (provider.folder / "node.json").write_text("{ broken")
    assert [found.kind for found in provider.teardown.inventory()] == ["file"]
    provider.teardown.sweep(provider.teardown.inventory(), Silent())
    provider.teardown.destroy_files(keep_data=False, progress=Silent())
    assert list(provider.teardown.inventory()) == []
    assert provider.alive() == "the node does not exist"
