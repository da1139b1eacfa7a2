"""Finds and removes what a node has left on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters import process
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.host import inventory
from mlops_platform.clusters.host.layout import NODE_FILE, Place
from mlops_platform.clusters.host.node import cgroups
from mlops_platform.clusters.host.node.start import clear, command
from mlops_platform.clusters.host.node.supervision import Supervision
from mlops_platform.clusters.leftovers import Leftover
from mlops_platform.clusters.teardown import Teardown

# Enough to bring the data back: etcd, the volumes, the keys that both need, the addresses; and the images:
# pods that start before theirs are loaded wait 20 s until kubelet tries again.
KEPT_WITH_DATA = ("etcd", "volumes", "pki", NODE_FILE, "containerd")
_SECONDS = 300


@dataclass(frozen=True)
class HostTeardown(Teardown):
    """The teardown of one node."""

    place: Place
    kubeconfig: Path

    def inventory(self) -> Sequence[Leftover]:
        return inventory.look(self.place, self.kubeconfig)

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Files in use stay, for the inventory to list: those of a running node, and those below a mount."""
        folder = self.place.folder
        if Supervision(self.place).alive():
            progress.note(f"{folder}: the node still runs, its files stay")
            return
        progress.say("removing the node's files")
        mounts = inventory.mounts_below(folder)
        kept = KEPT_WITH_DATA if keep_data else ()
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            mounted = any(path == mount or path in mount.parents for mount in mounts)
            if path.name not in kept and not mounted:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.kubeconfig.unlink(missing_ok=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        """Stop a running node in order; then kill the processes that are left.

        A mount, or an interface without our alias, may be another program's: it stays, and is listed.
        """
        if Supervision(self.place).alive() and self.place.file.exists():
            with _noted(progress):
                start_or_stop("stop", self.place, progress, Cancel())
        left = cgroups.processes(self.place.group)
        if left:
            progress.note(f"killing {len(left)} processes left in the node's cgroup: {sorted(left)}")
        with _noted(progress):
            clear(self.place, Supervision(self.place))


def start_or_stop(act: str, place: Place, progress: Progress, cancel: Cancel) -> None:
    """Start or stop the node exactly as Terraform does. Raises CommandFailed, Interrupted."""
    process.run(
        command(act, place),
        seconds=_SECONDS,
        cancel=cancel,
        on_line=progress.say,
        what=f"{act} of node {place.environment}",
    )


@contextmanager
def _noted(progress: Progress) -> Iterator[None]:
    """Note an error and continue: the inventory lists what is left."""
    try:
        yield
    except StepError as error:
        progress.note(f"{error.what}: {error.why}")
