"""The node's cgroups: one folder in every hierarchy of this machine, version 1, 2 or both."""

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
    """One mounted cgroup hierarchy; `options` are the options to mount it again."""

    mount: Path
    version: int
    options: str

    @property
    def controllers(self) -> tuple[str, ...]:
        """Controllers to enable for child groups: only version 2 needs that, and only as the machine's one
        hierarchy. Beside version 1 it controls nothing that the node needs."""
        alone = self.version == 2 and self.mount == ROOT
        return tuple((self.mount / "cgroup.controllers").read_text().split()) if alone else ()


def hierarchies() -> tuple[Hierarchy, ...]:
    """Return all hierarchies mounted at or below /sys/fs/cgroup."""
    return parse(Path("/proc/self/mountinfo").read_text())


def parse(mountinfo: str) -> tuple[Hierarchy, ...]:
    """Parse proc_pid_mountinfo(5): fields, " - ", then type, source and options of the file system."""
    found = []
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        kind, _, options = right.split(" ", 2)
        mount = Path(left.split()[4])
        if kind in ("cgroup", "cgroup2") and (mount == ROOT or ROOT in mount.parents):
            # A release agent may only be set in the machine's own cgroup namespace.
            wanted = ",".join(
                o for o in options.split(",") if o not in ("rw", "ro") and not o.startswith("release_agent=")
            )
            found.append(Hierarchy(mount, 2 if kind == "cgroup2" else 1, "" if kind == "cgroup2" else wanted))
    return tuple(found)


def folders(group: str) -> tuple[Path, ...]:
    """Return the existing folders of the group."""
    return tuple(h.mount / group for h in hierarchies() if (h.mount / group).is_dir())


def create(group: str) -> None:
    """Create the group in every hierarchy, if it does not exist."""
    for hierarchy in hierarchies():
        folder = hierarchy.mount / group
        folder.mkdir(exist_ok=True)
        # A new cpuset has no processors and no memory, and no process may join it.
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
    """Move a process to a leaf group: version 2 allows no process beside child groups with controllers.

    Call it after the cgroup namespace exists: its root is the group that the process was in at that time.
    """
    for hierarchy in hierarchies():
        if hierarchy.controllers:
            leaf = hierarchy.mount / group / _LEAF
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(pid))


def processes(group: str) -> frozenset[int]:
    """Return the ids of all processes in the group, in any hierarchy, as this pid namespace sees them."""
    found: set[int] = set()
    for top in folders(group):
        for folder, _, _ in os.walk(top):
            try:
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
            except OSError:  # removed meanwhile (ENODEV while it is being removed)
                continue
    return frozenset(found - {0})


def kill(group: str, *, seconds: float = 20) -> None:
    """Send SIGKILL to every process of the group until none is left. Raises WaitTimedOut."""

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
                except OSError as error:  # busy for a moment after its last process ended
                    return Pending(f"{folder}: {error.strerror}")
        return True

    wait_until(f"cgroups {group} removed", removed, seconds=seconds, first_delay=0.01, longest_delay=0.2)
