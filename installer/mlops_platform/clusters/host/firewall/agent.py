"""The process of the agent: three watches, the socket, and the loop that puts the newest state in force.

Runs on the node: `python -m mlops_platform.clusters.host.firewall.agent --config FILE --listen DESCRIPTOR`.
The rules are in the kernel: when this process dies, they stay as they are, and no new pod starts.
"""

from __future__ import annotations

import argparse
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

from mlops_platform.adapters import process
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, PreflightError
from mlops_platform.clusters.host.api import Api
from mlops_platform.clusters.host.firewall.admission import Admission
from mlops_platform.clusters.host.firewall.render import render
from mlops_platform.clusters.host.firewall.state import State
from mlops_platform.clusters.host.firewall.watch import PATHS, follow
from mlops_platform.clusters.host.layout import INSIDE, Node

IDENTITY = "firewall"
CLAIMS = Path("/run/firewall-addresses.json")
_DEBOUNCE_SECONDS = 0.01
_RETRY_SECONDS = 0.5
_NFT_SECONDS = 20
log = logging.getLogger("firewall")


def enforce(state: State, pods: IPv4Network, stop: Cancel) -> None:
    """Render the whole newest state and load it as one nft transaction, forever."""
    in_force = ""
    while True:
        if not state.awaited():
            stop.pause(_DEBOUNCE_SECONDS)  # one change often brings several objects
        started, generation = time.monotonic(), state.newest()
        try:
            snapshot = state.snapshot()
            text = render(snapshot, pods)
            if text != in_force:
                process.run(["nft", "-f", "-"], stdin=text, seconds=_NFT_SECONDS)
        except (CommandFailed, PreflightError) as error:
            why = error.why or error.what
            log.error("policies are not put in force: %s", why)
            in_force = ""  # the table may have any content now
            state.failed(generation, why)
            stop.pause(_RETRY_SECONDS)
            continue
        state.applied(generation)
        if text != in_force:
            in_force = text
            milliseconds = (time.monotonic() - started) * 1000
            log.info(
                "%d policies, %d addresses in force (%.0f ms)",
                len(snapshot.policies), len(snapshot.addresses), milliseconds,
            )  # fmt: skip


def main() -> str:
    """Serve until one part ends, which only a fault causes; PID 1 then starts this process again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--listen", type=int, required=True, help="a listening socket, kept by PID 1")
    arguments = parser.parse_args()
    node = Node.read(arguments.config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    api, state, stop = Api(node, INSIDE / "pki", IDENTITY, seconds=10), State(CLAIMS), Cancel()
    admission, listening = Admission(api, state), socket.socket(fileno=arguments.listen)
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(name: str, serve: Callable[[], None]) -> None:
        try:
            serve()
        finally:
            ended.put(name)

    parts: dict[str, Callable[[], None]] = {
        "rules": lambda: enforce(state, node.pods, stop),
        "socket": lambda: admission.serve(listening),
        **{kind: lambda kind=kind: follow(api, kind, state, stop) for kind in PATHS},  # type: ignore[misc]
    }
    for name, serve in parts.items():
        threading.Thread(target=run, args=(name, serve), daemon=True, name=name).start()
    return f"{ended.get()}: ended"


if __name__ == "__main__":
    raise SystemExit(main())
