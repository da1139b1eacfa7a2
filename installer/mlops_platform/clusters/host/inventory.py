"""Owns looking for what a node has left: processes, cgroups, interface, mounts, files. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops_platform.adapters.process import command_line
from mlops_platform.clusters.base import Leftover
from mlops_platform.clusters.host.layout import Place
from mlops_platform.clusters.host.node import cgroups, network

_MOUNTINFO = Path("/proc/self/mountinfo")


def look(place: Place, kubeconfig: Path) -> tuple[Leftover, ...]:
    """Everything of the node that exists now, whoever made it. Needs no node.json."""
    found = [Leftover("process", str(pid), _command(pid)) for pid in sorted(cgroups.processes(place.group))]
    found += [Leftover("cgroup", str(folder)) for folder in cgroups.folders(place.group)]
    link = network.find(place)
    if link is not network.Link.NONE:
        found.append(Leftover("interface", place.interface, "" if link is network.Link.OURS else link.value))
    found += [Leftover("mount", str(mount), _held_by(mount)) for mount in mounts_below(place.folder)]
    found += [Leftover("file", str(path)) for path in (*_entries(place.folder), kubeconfig) if path.exists()]
    return tuple(found)


def mounts_below(folder: Path, mountinfo: str | None = None) -> tuple[Path, ...]:
    """Mounts strictly below a folder, as this process sees them.

    The node's own mounts live in a mount namespace that the host never sees, and die with it: whatever
    is found here was made by somebody else, so it is listed and never unmounted by us.
    """
    text = _MOUNTINFO.read_text() if mountinfo is None else mountinfo
    places = (Path(_unescape(line.split()[4])) for line in text.splitlines())
    return tuple(mount for mount in places if folder in mount.parents)


def _unescape(field: str) -> str:
    """proc_pid_mountinfo(5): space, tab, newline and backslash come as three octal digits."""
    for character in " \t\n\\":
        field = field.replace(f"\\{ord(character):03o}", character)
    return field


def _entries(folder: Path) -> tuple[Path, ...]:
    """What lies in the state folder, or the folder itself when it is empty."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(folder.iterdir())) or (folder,)


def _command(pid: int) -> str:
    return next(iter(command_line(pid)), "")


def _held_by(mount: Path) -> str:
    """The processes that keep a mount busy; their working folders and open files lie on its device."""
    import psutil

    device = mount.stat().st_dev
    holders = [f"{pid} ({_command(pid)})" for pid in sorted(psutil.pids()) if device in _devices(pid)]
    text = f"held by process {', '.join(holders[:5])}; " if holders else ""
    return f"{text}not made by us: umount {mount}"


def _devices(pid: int) -> set[int]:
    return set(_stat_all(Path(f"/proc/{pid}")))


def _stat_all(folder: Path) -> Iterator[int]:
    try:
        links = [folder / "cwd", folder / "root", *(folder / "fd").iterdir()]
    except OSError:  # it has ended, or is none of our business (another user namespace)
        return
    for link in links:
        try:
            yield link.stat().st_dev
        except OSError:  # closed in the meantime
            continue
