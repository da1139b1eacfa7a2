"""Owns the node's cgroups: one folder in every hierarchy of this machine, version 1, 2 or both."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.wait import Pending, wait_until

ROOT = Path("/sys/fs/cgroup")
_LEAF = "init"


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy; `options` are what mounting it again takes."""

    mount: Path
    version: int
    options: str

    @property
    def controllers(self) -> tuple[str, ...]:
        """What must be handed down to child groups: only version 2 asks for it, and only where it is
        the machine's one hierarchy. Beside version 1 it controls nothing that the node needs."""
        alone = self.version == 2 and self.mount == ROOT
        return tuple((self.mount / "cgroup.controllers").read_text().split()) if alone else ()


def hierarchies() -> tuple[Hierarchy, ...]:
    """All hierarchies mounted at or below /sys/fs/cgroup."""
    return parse(Path("/proc/self/mountinfo").read_text())


def parse(mountinfo: str) -> tuple[Hierarchy, ...]:
    """proc_pid_mountinfo(5): fields, " - ", then type, source and options of the file system."""
    found = []
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        kind, _, options = right.split(" ", 2)
        mount = Path(left.split()[4])
        if kind in ("cgroup", "cgroup2") and (mount == ROOT or ROOT in mount.parents):
            # A release agent may only be named in the machine's own cgroup namespace.
            wanted = ",".join(
                o for o in options.split(",") if o not in ("rw", "ro") and not o.startswith("release_agent=")
            )
            found.append(Hierarchy(mount, 2 if kind == "cgroup2" else 1, "" if kind == "cgroup2" else wanted))
    return tuple(found)


def folders(group: str) -> tuple[Path, ...]:
    """The group's folders that exist."""
    return tuple(h.mount / group for h in hierarchies() if (h.mount / group).is_dir())


def create(group: str) -> None:
    """Make the group in every hierarchy. Running it twice is running it once."""
    for hierarchy in hierarchies():
        folder = hierarchy.mount / group
        folder.mkdir(exist_ok=True)
        # A new cpuset has neither processors nor memory, and no process may join it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy.version == 1 and (folder / name).exists():
                (folder / name).write_text((hierarchy.mount / name).read_text())
        if hierarchy.controllers:
            wanted = " ".join(f"+{name}" for name in hierarchy.controllers)
            (hierarchy.mount / "cgroup.subtree_control").write_text(wanted)


def join(group: str) -> None:
    """Move this process into the group."""
    for hierarchy in hierarchies():
        (hierarchy.mount / group / "cgroup.procs").write_text("0")


def retreat(group: str, pid: int) -> None:
    """Version 2 allows no process beside child groups with controllers: move it to a leaf of its own.

    Only after the cgroup namespace was made, whose root is the group that the process was in then.
    """
    for hierarchy in hierarchies():
        if hierarchy.controllers:
            leaf = hierarchy.mount / group / _LEAF
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(pid))


def processes(group: str) -> frozenset[int]:
    """Ids of all processes in the group, in any hierarchy, as this pid namespace sees them."""
    found: set[int] = set()
    for top in folders(group):
        for folder, _, _ in os.walk(top):
            try:
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
            except OSError:  # it was removed while we looked (ENODEV for a dying one)
                continue
    return frozenset(found - {0})


def kill(group: str, *, seconds: float = 20) -> None:
    """SIGKILL every process of the group until there is none. Raises WaitTimedOut."""

    def gone() -> bool | Pending:
        left = processes(group)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return Pending(f"{len(left)} processes: {sorted(left)[:10]}") if left else True

    wait_until(f"processes of {group} ended", gone, seconds=seconds, first_delay=0.01, longest_delay=0.2)


def remove(group: str, *, seconds: float = 10) -> None:
    """Remove the group's folders. Raises WaitTimedOut when a process still holds one."""

    def removed() -> bool | Pending:
        for top in folders(group):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    Path(folder).rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:  # busy for a moment after its last process has gone
                    return Pending(f"{folder}: {error.strerror}")
        return True

    wait_until(f"cgroups {group} removed", removed, seconds=seconds, first_delay=0.01, longest_delay=0.2)
