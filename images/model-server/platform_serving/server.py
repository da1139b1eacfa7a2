"""uvicorn with an end that loses no request.

Kubernetes ends a pod and takes it out of the Service at the same time: for a moment new requests still
arrive, and clients keep connections open. After SIGTERM the server goes on for some seconds, and says
`Connection: close` in each answer, so that clients open their next connection to another pod. It ends when no
connection is left, or at the end of its time.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow
"""

from __future__ import annotations

import signal
import time
from types import FrameType

import uvicorn

from platform_serving.app import App

# Rules of all nodes follow within a second; below the 30 seconds after which the kubelet kills the pod.
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 25.0


class DrainingServer(uvicorn.Server):
    """Goes on after SIGTERM until its clients have left."""

    def __init__(self, app: App, *, port: int, shortest: float, longest: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host="0.0.0.0",  # noqa: S104 - policies decide what reaches the pod
                port=port,
                lifespan="off",
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,  # longer than nginx keeps connections: the client closes them
                timeout_graceful_shutdown=int(longest),
            )
        )
        self._app, self._shortest, self._longest = app, shortest, longest
        self._since = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or Ctrl-C, ends at once."""
        if sig == signal.SIGTERM and not self._since:
            self._since, self._app.draining = time.monotonic(), True
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second. Return whether to end."""
        if self._since:
            seconds = time.monotonic() - self._since
            left = self.server_state.connections
            if seconds >= self._longest or (seconds >= self._shortest and not left):
                self.should_exit = True
        return await super().on_tick(counter)
