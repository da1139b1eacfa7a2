"""Owns the node's containerd as the host reaches it: through the root folder of the node's PID 1."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters import process
from mlops_platform.base.cancel import Cancel
from mlops_platform.clusters.host.layout import CONTAINERD_SOCKET

_NAMESPACE = "k8s.io"
_LOAD_SECONDS = 600


@dataclass(frozen=True)
class Socket:
    """The socket of the containerd in the node whose PID 1 the host knows as `pid`."""

    pid: int

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.pid}/root{CONTAINERD_SOCKET}")

    @property
    def serving(self) -> bool:
        """Whether somebody accepts connections there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self.path))
            except OSError:  # not there yet, or of a containerd that is being started again
                return False
        return True

    def images(self) -> frozenset[str]:
        """References of all images. Raises CommandFailed."""
        return frozenset(self._ctr("images", "list", "-q", seconds=30).stdout.split())

    def load(self, archive: Path, cancel: Cancel | None = None) -> None:
        """Import every image of an OCI archive, and unpack it. Raises CommandFailed."""
        self._ctr("images", "import", str(archive), seconds=_LOAD_SECONDS, cancel=cancel)

    def _ctr(self, *args: str, seconds: float, cancel: Cancel | None = None) -> process.Completed:
        return process.run(
            ["ctr", "--address", str(self.path), "--namespace", _NAMESPACE, *args],
            seconds=seconds,
            cancel=cancel,
            what=f"ctr {' '.join(args[:2])}",
        )
