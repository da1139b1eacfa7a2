"""The node's view of the file system: PID 1 builds it once, and it ends with the mount namespace."""

from __future__ import annotations

import ctypes
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops_platform.clusters.host import firewall
from mlops_platform.clusters.host.config import PLUGIN
from mlops_platform.clusters.host.layout import INSIDE, INSIDE_PLUGINS, INSIDE_PROGRAMS, INSIDE_VOLUMES, Node
from mlops_platform.clusters.host.node.cgroups import ROOT as CGROUPS
from mlops_platform.clusters.host.node.cgroups import Hierarchy

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
_BIND, _REC, _SHARED, _DETACH = 0x1000, 0x4000, 0x100000, 0x2

# kubelet writes these settings of the whole machine: it gets copies that already have the values it wants.
GLOBAL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# These belong to the node's network namespace. There is no bridge, so bridge-nf-call-iptables is not needed.
NETWORK_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    # After a kill, one time in three a connection without a peer kept the namespace, and with it the
    # interface on the host, for more than 10 s (2026-11-24): give up such a connection after one retry.
    "net/ipv4/tcp_orphan_retries": "1",
}
# Persistent folders: folder of the state -> the path that the node's programs use.
KEPT = {
    "etcd": Path("/var/lib/etcd"),
    "containerd": Path("/var/lib/containerd"),
    "kubelet": Path("/var/lib/kubelet"),
    "pod-logs": Path("/var/log/pods"),
    "volumes": INSIDE_VOLUMES,
}

_libc = ctypes.CDLL(None, use_errno=True)


def build(node: Node, hierarchies: Sequence[Hierarchy]) -> None:
    """Turn a private copy of the host's mounts into the node's. Raises OSError that names the mount."""
    state = _open(node.folder)
    folders = {"kubernetes": node.kubernetes, "etcd": node.etcd.parent}
    folders |= {"gpus": node.gpus} if node.simulated_gpus else {}
    programs = {name: _open(folder) for name, folder in folders.items()}
    _kernel(hierarchies)
    mount("tmpfs", Path("/run"), "tmpfs", _NOSUID | _NODEV, "mode=755")
    mount("tmpfs", Path("/dev/shm"), "tmpfs", _NOSUID | _NODEV, "mode=1777")  # noqa: S108
    _private_var()
    for name in ("netns", "lock", "tmp"):
        Path("/run", name).mkdir()
    # Through descriptors: the state may be below /var or /run, which are covered now.
    _bind(f"/proc/self/fd/{state}", INSIDE)
    for name, target in KEPT.items():
        (INSIDE / name).mkdir(exist_ok=True, mode=0o700)
        _bind(f"/proc/self/fd/{state}/{name}", target)
    for name, descriptor in programs.items():
        _bind(f"/proc/self/fd/{descriptor}", INSIDE_PROGRAMS / name)
    _plugins(node)
    _files()
    _settings()
    # No program of the node writes to the machine's own root: everything not mounted above is read-only.
    mount("", Path("/"), "", _REMOUNT | _BIND | _RDONLY)
    # Mounts of pods must propagate to their containers; the host is not in this peer group.
    mount("", Path("/"), "", _REC | _SHARED)
    for descriptor in (state, *programs.values()):
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _kernel(hierarchies: Sequence[Hierarchy]) -> None:
    """Mount /proc, /sys and cgroups as the new namespaces see them."""
    mount("proc", Path("/proc"), "proc", _NOSUID | _NODEV | _NOEXEC)
    _call("umount2", Path("/sys"), _libc.umount2(b"/sys", _DETACH))
    mount("sysfs", Path("/sys"), "sysfs", _NOSUID | _NODEV | _NOEXEC)
    if all(hierarchy.mount != CGROUPS for hierarchy in hierarchies):
        mount("tmpfs", CGROUPS, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "mode=755")
    for hierarchy in hierarchies:
        # The cgroup namespace makes our group the root here, so the groups of pods are below it.
        hierarchy.mount.mkdir(exist_ok=True)
        kind = "cgroup2" if hierarchy.version == 2 else "cgroup"
        mount(kind, hierarchy.mount, kind, _NOSUID | _NODEV | _NOEXEC, hierarchy.options)


def _private_var() -> None:
    """Mount an overlay on /var, so that folders which the node creates there exist only in the node."""
    upper, work = Path("/run/var/upper"), Path("/run/var/work")
    for folder in (upper, work):
        folder.mkdir(parents=True)
    mount("overlay", Path("/var"), "overlay", 0, f"lowerdir=/var,upperdir={upper},workdir={work}")


def _bind(source: str, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    mount(source, target, "", _BIND)


def _plugins(node: Node) -> None:
    """Make one folder of CNI plugins, as containerd 1.6 takes only one: links to the machine's, and ours."""
    INSIDE_PLUGINS.mkdir()
    for plugin in node.plugins.iterdir():
        (INSIDE_PLUGINS / plugin.name).symlink_to(plugin)
    source = Path(firewall.__file__).with_name("plugin.py")
    own = INSIDE_PLUGINS / PLUGIN
    own.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, '-ISs', str(source)])}\n")
    own.chmod(0o755)


def _files() -> None:
    """Mount the node's hosts and name over the machine's, which pods with hostNetwork would get."""
    for name in ("hosts", "hostname", "resolv.conf"):
        target = Path("/etc", name).resolve()
        if target.is_file():
            mount(str(INSIDE / "config" / name), target, "", _BIND)


def _settings() -> None:
    copies = Path("/run/settings")
    copies.mkdir()
    for name, value in GLOBAL_SETTINGS.items():
        if not Path("/proc/sys", name).exists():  # for example a kernel without key rings
            continue
        copy = copies / name.replace("/", ".")
        copy.write_text(f"{value}\n")
        mount(str(copy), Path("/proc/sys", name), "", _BIND)
    for name, value in NETWORK_SETTINGS.items():
        Path("/proc/sys", name).write_text(value)


def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    result = _libc.mount(
        source.encode() or None,
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _call(f"mount {kind or source or hex(flags)}", target, result)


def _call(what: str, target: Path, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}", str(target))
