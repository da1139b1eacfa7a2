"""Stop a node from the host: gracefully, then by force, then remove its cgroups and interface."""

from __future__ import annotations

import signal

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.clusters.host.layout import Node
from mlops_platform.clusters.host.node.start import Say, clear
from mlops_platform.clusters.host.node.supervision import Supervision

GRACE_SECONDS = 5
_END_SECONDS = GRACE_SECONDS + 6


def stop(node: Node, say: Say) -> None:
    """Stop the node, if it runs. Data stays. Raises WaitTimedOut."""
    supervision = Supervision(node)
    with supervision.changing():
        running = supervision.running()
        if running:
            say("stopping pods and the node's programs")
            running.init.kill(signal.SIGTERM)
            try:
                wait_until(
                    "the node ended",
                    lambda: Pending("it still runs") if supervision.alive() else True,
                    seconds=_END_SECONDS,
                    longest_delay=0.05,
                )
            except WaitTimedOut:
                say(f"the node did not end within {_END_SECONDS} s: killing it")
        clear(node, supervision)
    say(f"node {node.name} is stopped")
