"""The preflight checks of this machine for a node; the check step looks at the disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from mlops_platform.adapters import process
from mlops_platform.adapters.programs import ARCHITECTURE, Program, find_go
from mlops_platform.base.errors import CommandFailed, PlatformError
from mlops_platform.clusters.base import Check, Machine
from mlops_platform.clusters.host import addresses
from mlops_platform.clusters.host.layout import Node, Place
from mlops_platform.clusters.host.node import cgroups
from mlops_platform.clusters.host.node.supervision import Supervision

GIBIBYTE = 2**30
# Program -> its Debian package.
_PROGRAMS = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "nft": "nftables",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "mmdebstrap": "mmdebstrap",
    "zstd": "zstd",
}
_PLUGINS = ("ptp", "host-local", "portmap", "loopback")
# Debian's folder, then that of the plugins' own releases.
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_OLDEST = {"containerd": (1, 6), "runc": (1, 1)}
_CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "pids"})
_V1_CONTROLLERS = _CONTROLLERS | {"cpuacct", "devices", "freezer"}
# Rules that kube-proxy and the node's network need from the kernel, tried in a temporary namespace.
_TRY = "ip link add name try0 type veth peer name try1 && iptables-restore"
_RULES = """\
*nat
-A OUTPUT -m comment --comment try -m statistic --mode random --probability 0.5 -j RETURN
-A OUTPUT -m conntrack --ctstate NEW -j RETURN
-A POSTROUTING -m mark --mark 0x1 -j MASQUERADE
-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j DNAT --to-destination 127.0.0.1:1
COMMIT
"""


class ProgramStore(Protocol):
    """The folders of programs, built or not."""

    def folder(self, program: Program) -> Path: ...


MINIMUM_CORES = 2
# The node's programs with the definitions of all operators, CoreDNS, and the system (docs/performance.md).
_OWN_CORES, _OWN_MEMORY = 0.3, 2 * GIBIBYTE


def all_checks(
    place: Place, programs: Sequence[Program], store: ProgramStore, minimum_cores: int = MINIMUM_CORES
) -> tuple[Check, ...]:
    """Run all checks. Changes nothing on the machine."""
    checks: list[Check] = [_root(), _processor(), _cores(minimum_cores)]
    checks += _debian_programs()
    checks += (_cni_plugins(), _cgroups(), _file_systems(), _network(), _firewall(), _addresses(place))
    checks.append(_go(programs, store))
    return tuple(checks)


def plugins() -> Path | None:
    """The folder with the node's CNI plugins; containerd 1.6 supports only one folder."""
    return next((f for f in _PLUGIN_FOLDERS if all((f / name).is_file() for name in _PLUGINS)), None)


def _root() -> Check:
    if os.geteuid() == 0:
        return Check("root", "ok", "root")
    why = "the node needs namespaces, mounts and an interface"
    return Check(
        "root", "failure", f"user {os.geteuid()}", why, "run the command as root, for example with sudo"
    )


def _processor() -> Check:
    seen = f"{platform.system()} {platform.machine()}"
    if platform.system() == "Linux" and ARCHITECTURE in ("amd64", "arm64"):
        return Check("processor", "ok", seen)
    return Check("processor", "failure", seen, "the node runs only on Linux on x86-64 or ARM64", "")


def machine() -> Machine:
    """This machine: its whole memory, because the used part may belong to this very node."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(len(os.sched_getaffinity(0)), memory, _OWN_CORES, _OWN_MEMORY)


def _cores(minimum: int) -> Check:
    cores = machine().cores
    if cores >= minimum:
        return Check("cores", "ok", f"{cores} cores")
    why = f"the node needs {minimum} cores"
    return Check("cores", "failure", f"{cores} cores", why, "use a machine with more cores")


def _debian_programs() -> Iterator[Check]:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    for name in missing:
        fix = f"apt-get install --no-install-recommends {_PROGRAMS[name]}"
        yield Check(name, "failure", "missing", f"{name} is not on PATH", fix)
    for name, oldest in _OLDEST.items():
        if name not in missing:
            yield _version(name, oldest)


def _version(name: str, oldest: tuple[int, ...]) -> Check:
    said = process.run([name, "--version"], seconds=20).stdout
    found = re.search(r"(?<![\d.])(\d+)\.(\d+)\.\d+", said)
    if not found:
        return Check(name, "warning", "version unknown", f"its output: {said.strip()[:80]}")
    seen = f"{name} {found[0]}"
    if tuple(map(int, found.groups())) >= oldest:
        return Check(name, "ok", seen)
    why = f"{'.'.join(map(str, oldest))} or newer is required"
    return Check(name, "failure", seen, why, f"install {_PROGRAMS[name]} from a newer Debian")


def _cni_plugins() -> Check:
    folder = plugins()
    if folder:
        return Check("CNI plugins", "ok", "CNI plugins")
    why = f"no folder has all of {', '.join(_PLUGINS)}: searched: {', '.join(map(str, _PLUGIN_FOLDERS))}"
    fix = "apt-get install --no-install-recommends containernetworking-plugins"
    return Check("CNI plugins", "failure", "missing", why, fix)


def _cgroups() -> Check:
    found = cgroups.hierarchies()
    if any(h.controllers for h in found):
        version, controllers, needed = 2, {c for h in found for c in h.controllers}, _CONTROLLERS
    else:
        controllers = {c for h in found if h.version == 1 for c in h.options.split(",")}
        version, needed = 1, _V1_CONTROLLERS
    seen = f"cgroup v{version}"
    missing = sorted(needed - controllers)
    if missing:
        why = f"no hierarchy below {cgroups.ROOT} has {', '.join(missing)}"
        return Check("cgroups", "failure", seen, why, "mount it, or boot with cgroup_enable=memory")
    closed = [str(h.mount) for h in found if not os.access(h.mount, os.W_OK)]
    if closed:
        why = f"{', '.join(closed)} is not writable: is this a container?"
        return Check("cgroups", "failure", seen, why, "run the command on the machine itself, as root")
    return Check("cgroups", "ok", seen)


def _file_systems() -> Check:
    seen = f"kernel {platform.release()}"
    known = Path("/proc/filesystems").read_text().split()
    missing = [kind for kind in ("overlay", "tmpfs") if kind not in known and not _loadable(kind)]
    missing += [
        n for n in ("mnt", "pid", "net", "uts", "ipc", "cgroup") if not Path("/proc/self/ns", n).exists()
    ]
    if not missing:
        return Check("kernel", "ok", seen)
    why = f"it has no {', '.join(missing)}"
    return Check("kernel", "failure", seen, why, f"modprobe {missing[0]}, or use a kernel that has it")


def _loadable(module: str) -> bool:
    if shutil.which("modprobe") is None:
        return False
    return process.run(["modprobe", "-n", "-q", module], ok=range(256), seconds=10).returncode == 0


def _network() -> Check:
    """Try the rules in a temporary network namespace: a list of modules says little about a kernel."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "iptables-restore"))):
        return Check("network", "warning", "not tried", "needs root and the programs above")
    try:
        process.run(["unshare", "--net", "--", "sh", "-c", _TRY], stdin=_RULES, seconds=20)
    except CommandFailed as error:
        fix = "modprobe -a veth nf_nat xt_comment xt_statistic xt_MASQUERADE, or use a kernel that has them"
        return Check("network", "failure", "veth or iptables failed", error.why, fix)
    return Check("network", "ok", "veth, iptables")


def _firewall() -> Check:
    """Load the node's own table, without a pod, in a temporary network namespace."""
    from mlops_platform.clusters.host.firewall.render import (  # imported at use: start-up time
        Snapshot,
        render,
    )

    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nft"))):
        return Check("firewall", "warning", "not tried", "needs root and the programs above")
    empty = Snapshot(pods=(), addresses={}, namespaces={}, policies=())
    rules = render(empty, IPv4Network("10.0.0.0/17"))
    try:
        process.run(["unshare", "--net", "--", "nft", "-f", "-"], stdin=rules, seconds=20)
    except CommandFailed as error:
        fix = "modprobe -a nf_tables nft_fib_inet nft_ct nft_reject_inet, or use a kernel that has them"
        return Check("firewall", "failure", "nft refused", error.why, fix)
    return Check("firewall", "ok", "nft")


def _addresses(place: Place) -> Check:
    try:
        if place.file.exists():
            node = Node.read(place.file)
            taken = "" if Supervision(place).alive() else addresses.conflict(node)
            if not taken:
                return Check("addresses", "ok", str(node.range))
            fix = "free the address, or run `down`, then `up`, which picks another one"
            return Check("addresses", "warning", str(node.range), taken, fix)
        free = addresses.pick(
            (*addresses.routed(), *addresses.claimed_beside(place.folder)), first=place.number
        )
    except PlatformError as error:
        return Check("addresses", "failure", "none free", error.why or error.what, error.hint)
    return Check("addresses", "ok", str(free))


def _go(programs: Sequence[Program], store: ProgramStore) -> Check:
    """Check Go, which builds programs, and whose version identifies those in the cache."""
    try:
        go = find_go()
    except PlatformError as error:
        return Check("go", "failure", "missing", error.what, error.hint)
    unbuilt = [program for program in programs if not store.folder(program).is_dir()]
    wanted = max((_wanted(program) for program in unbuilt), default=(0,))
    if _numbers(go.version) >= wanted:
        return Check("go", "ok", f"go {go.version}")
    why = f"{'.'.join(map(str, wanted))} or newer is required to build {', '.join(p.name for p in unbuilt)}"
    return Check("go", "failure", f"go {go.version}", why, "install a newer Go from https://go.dev/dl")


def _wanted(program: Program) -> tuple[int, ...]:
    line = re.search(r"^go (\S+)", (program.module / "go.mod").read_text(), re.MULTILINE)
    return _numbers(line[1]) if line else (0,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
