"""The host cluster: start, use, kills, stop, no leftovers."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import urllib3
from mlops_platform.adapters.kube import KubeError
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.clusters.host.inventory import mounts_below
from mlops_platform.clusters.host.layout import API_PORT
from mlops_platform.clusters.host.node import cgroups
from mlops_platform.clusters.host.node.start import wrong

from tests import proc
from tests.integration.host.policies import policy
from tests.integration.host.world import QUIET, SECRET, World, claim, found_in, kill, machine

pytestmark = pytest.mark.integration


def test_node_has_version_and_private_kubeconfig(world: World) -> None:
    node = world.kube.get("v1", "Node", "itest")
    assert node and node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.")
    assert world.provider.alive() == ""
    assert world.provider.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_request_without_credentials_reads_only_keys_of_tokens(world: World) -> None:
    """An object store needs the keys to exchange the tokens of pods for credentials."""
    context = ssl.create_default_context(cafile=str(world.node.pki / "ca.crt"))

    def status(path: str) -> int:
        url = f"https://{world.node.address}:{API_PORT}{path}"
        with urllib3.PoolManager(ssl_context=context) as pool:
            return pool.request("GET", url, retries=False).status

    keys = ["/.well-known/openid-configuration", "/openid/v1/jwks"]
    assert [status(path) for path in keys] == [200, 200]
    closed = ["/", "/api", "/version", "/healthz", "/livez", "/metrics", "/api/v1/namespaces", f"{keys[1]}/"]
    assert [status(path) for path in closed] == [401] * len(closed)


def test_node_has_no_variables_of_the_caller(world: World) -> None:
    pids = cgroups.processes(world.node.group)
    assert len(pids) > 10
    assert not [pid for pid in pids if SECRET.encode() in proc.read(pid, "environ")]


def test_only_service_names_resolve_and_outside_is_unreachable(world: World) -> None:
    lookups = ("lookup=kubernetes.default", "lookup=kube-dns.kube-system.svc.cluster.local")
    log = world.run("dns", *lookups, "lookup=example.com.", "connect=192.0.2.9:80")
    lines = log.splitlines()
    assert f"[{world.node.api_service}] <nil>" in lines[0]
    assert f"[{world.node.dns_service}] <nil>" in lines[1]
    assert "no such host" in lines[2]
    assert "unreachable" in lines[3]


def test_restricted_pod_writes_to_a_default_volume(world: World) -> None:
    assert "<nil>" in world.run("writer", "write=/data/kept:precious", claim="data")
    found = world.kube.get("v1", "PersistentVolumeClaim", "data", "test")
    assert found and found["status"]["phase"] == "Bound"
    folder = world.node.folder / "volumes" / found["spec"]["volumeName"]
    assert folder.stat().st_gid == 10001
    assert (folder / "kept").read_text() == "precious"


def test_deleted_claim_deletes_its_folder(world: World) -> None:
    world.kube.apply(claim("short"))
    world.run("short", "write=/data/x:y", claim="short")
    found = world.kube.get("v1", "PersistentVolumeClaim", "short", "test")
    assert found
    folder = world.node.folder / "volumes" / found["spec"]["volumeName"]
    assert folder.is_dir()
    world.kube.delete("v1", "Pod", "short", "test")
    world.kube.delete("v1", "PersistentVolumeClaim", "short", "test")
    wait_until("its end", lambda: Pending("there") if folder.exists() else True, seconds=30)
    wait_until(
        "the volume's end",
        lambda: Pending("there") if len(world.kube.list("v1", "PersistentVolume")) > 1 else True,
        seconds=30,
    )


def test_killed_programs_restart_without_effect_on_pods(world: World) -> None:
    world.run("lasting", "wait", wait=False)
    container = world.until("lasting", "Running")["status"]["containerStatuses"][0]["containerID"]
    # With the folder, because "server" is also the end of the API server's name, and pids wrap around.
    etcd = f"etcd/{world.node.etcd.name}"
    for name, program in (("containerd", "containerd"), ("apiserver", "kube-apiserver"), ("etcd", etcd)):
        starts = world.supervision.daemons()[name].starts
        kill(found_in(world.node.group, program))
        wait_until(
            f"{name} again",
            lambda n=name, s=starts: world.supervision.daemons()[n].starts > s or Pending("not yet"),  # type: ignore[misc]
            seconds=60,
        )
        wait_until("the node", lambda: Pending(w) if (w := wrong(world.node)) else True, seconds=60)
    after = world.until("lasting", "Running")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (container, 0)


def test_killed_supervisor_leaves_nothing_and_keeps_data(world: World) -> None:
    world.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kept", "namespace": "test"},
            "data": {"a": "b"},
        }
    )
    silence = policy("test", "silence", {"podSelector": {}, "policyTypes": ["Egress"]})
    world.kube.apply(silence)
    running = world.supervision.running()
    assert running
    kill(running.supervisor)
    wait_until("the end", lambda: Pending(str(f)) if (f := _alive_parts(world)) else True, seconds=120)
    assert world.provider.alive() == "the node is not running"
    seconds = world.start()
    print(f"\nnode Ready {seconds:.1f} s after a kill of its supervisor")
    kept = world.kube.get("v1", "ConfigMap", "kept", "test")
    assert kept and kept["data"] == {"a": "b"}
    assert "precious <nil>" in world.run("reader", "read=/data/kept", claim="data")
    assert "refused" in world.run("silent", f"connect={world.node.address}:{API_PORT}")
    world.kube.delete(silence["apiVersion"], silence["kind"], "silence", "test")


def _alive_parts(world: World) -> list[str]:
    """Everything except empty cgroups, which the next start or `down` removes."""
    return [f"{found.kind} {found.id}" for found in world.outside() if found.kind != "cgroup"]


def test_node_adds_only_one_interface_to_the_machine(world: World, before: dict[str, object]) -> None:
    assert machine() == before
    assert [found.id for found in world.outside() if found.kind == "interface"] == [world.node.interface]


def test_terraform_runs_a_second_node_beside_the_first(world: World, tmp_path: Path) -> None:
    other = World.make("itest-two", tmp_path)
    terraform = Terraform(other.provider.root, tmp_path / "terraform")
    try:
        other.provider.prepare(QUIET)
        outputs = terraform.apply(other.provider.variables(), QUIET, Cancel())
        access = other.provider.access(outputs)
        assert (access.endpoint, access.kubeconfig) == (other.node.endpoint, other.provider.kubeconfig)
        assert not other.node.range.overlaps(world.node.range)
        assert other.provider.alive() == world.provider.alive() == ""
        assert [n["metadata"]["name"] for n in other.kube.list("v1", "Node")] == ["itest-two"]
        assert terraform.unchanged(other.provider.variables())
        terraform.destroy(other.provider.variables(), QUIET, Cancel())
        assert other.outside() == []
    finally:
        other.provider.teardown.sweep(other.provider.teardown.inventory(), QUIET)
    other.provider.teardown.destroy_files(keep_data=False, progress=QUIET)
    assert list(other.provider.teardown.inventory()) == []
    assert world.provider.alive() == ""


def test_foreign_objects_are_listed_and_not_touched(tmp_path: Path) -> None:
    """No node ran here, so only names are known."""
    other = World.make("itest-left", tmp_path)
    held = other.provider.folder / "held"
    held.mkdir(parents=True)
    interface = other.provider.place.interface
    subprocess.run(["mount", "-t", "tmpfs", "none", str(held)], check=True)
    subprocess.run(["ip", "link", "add", interface, "type", "veth"], check=True)
    (held / "theirs").write_text("theirs")
    holder = subprocess.Popen(["sleep", "600"], cwd=held)
    try:
        found = {(f.kind, f.id): f.detail for f in other.provider.teardown.inventory()}
        assert str(holder.pid) in found["mount", str(held)]
        assert "not ours" in found["interface", interface]
        other.provider.teardown.sweep(other.provider.teardown.inventory(), QUIET)
        other.provider.teardown.destroy_files(keep_data=False, progress=QUIET)
        assert {f.kind for f in other.provider.teardown.inventory()} == {"mount", "interface", "file"}
        assert (held / "theirs").read_text() == "theirs"
    finally:
        holder.kill()
        holder.wait()
        subprocess.run(["umount", str(held)], check=True)
        subprocess.run(["ip", "link", "delete", interface], check=True)
    other.provider.teardown.destroy_files(keep_data=False, progress=QUIET)
    assert list(other.provider.teardown.inventory()) == []


def test_stop_leaves_only_data_and_start_restores_it(world: World, before: dict[str, object]) -> None:
    world.provider.teardown.sweep(world.provider.teardown.inventory(), QUIET)
    assert world.outside() == []
    assert machine() == before
    assert mounts_below(world.node.folder) == ()
    world.provider.teardown.destroy_files(keep_data=True, progress=QUIET)
    assert {"etcd", "volumes", "pki"} <= {p.name for p in world.provider.folder.iterdir()}
    assert not (world.provider.folder / "kubelet").exists()
    world.start()
    world.furnish()
    world.kube.delete("v1", "Pod", "reader", "test")
    assert "precious <nil>" in world.run("again", "read=/data/kept", claim="data")
    with pytest.raises(KubeError):
        world.kube.logs("test", "reader")
