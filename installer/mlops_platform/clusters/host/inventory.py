"""The inventory of a node: processes, cgroups, interface, mounts, files. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops_platform.adapters.process import command_line
from mlops_platform.clusters.host.layout import Place
from mlops_platform.clusters.host.node import cgroups, network
from mlops_platform.clusters.leftovers import Leftover

_MOUNTINFO = Path("/proc/self/mountinfo")


def look(place: Place, kubeconfig: Path) -> tuple[Leftover, ...]:
    """List everything of the node that exists. Needs no node.json."""
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

    The node's own mounts are in a mount namespace that the host does not see, and end with it. So these are
    mounts of other programs: they are listed, and never unmounted.
    """
    text = _MOUNTINFO.read_text() if mountinfo is None else mountinfo
    places = (Path(_unescape(line.split()[4])) for line in text.splitlines())
    return tuple(mount for mount in places if folder in mount.parents)


def _unescape(field: str) -> str:
    """Decode space, tab, newline and backslash, which proc_pid_mountinfo(5) writes in octal."""
    for character in " \t\n\\":
        field = field.replace(f"\\{ord(character):03o}", character)
    return field


def _entries(folder: Path) -> tuple[Path, ...]:
    """The entries of the state folder, or the folder itself when it is empty."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(folder.iterdir())) or (folder,)


def _command(pid: int) -> str:
    return next(iter(command_line(pid)), "")


def _held_by(mount: Path) -> str:
    """The processes whose working folder or open files are on the device of a mount."""
    import psutil  # imported at use: start-up time

    device = mount.stat().st_dev
    holders = [f"{pid} ({_command(pid)})" for pid in sorted(psutil.pids()) if device in _devices(pid)]
    text = f"in use by process {', '.join(holders[:5])}; " if holders else ""
    return f"{text}not created by mlops-platform: umount {mount}"


def _devices(pid: int) -> set[int]:
    return set(_stat_all(Path(f"/proc/{pid}")))


def _stat_all(folder: Path) -> Iterator[int]:
    try:
        links = [folder / "cwd", folder / "root", *(folder / "fd").iterdir()]
    except OSError:  # it has ended, or is in another user namespace
        return
    for link in links:
        try:
            yield link.stat().st_dev
        except OSError:  # closed in the meantime
            continue
