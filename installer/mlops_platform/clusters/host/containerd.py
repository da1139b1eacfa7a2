"""The node's containerd, which the host reaches through the root folder of the node's PID 1."""

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
    """The containerd socket of a node; `pid` is the node's PID 1 as the host sees it."""

    pid: int

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.pid}/root{CONTAINERD_SOCKET}")

    @property
    def serving(self) -> bool:
        """True: containerd accepts connections."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self.path))
            except OSError:  # does not exist yet, or containerd is restarting
                return False
        return True

    def images(self) -> frozenset[str]:
        """The references of all images. Raises CommandFailed."""
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
