"""Ask a node's firewall, from the host, whether the policies are in force."""

from __future__ import annotations

import json
import socket

from mlops_platform.clusters.host.layout import FIREWALL_SOCKET

_SECONDS = 3.0


def wrong(init: int) -> str:
    """Return '' when they are, else the reason. `init`: the host's process id of the node's PID 1."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.settimeout(_SECONDS)
        try:
            agent.connect(f"/proc/{init}/root{FIREWALL_SOCKET}")
            agent.sendall(b'{"act": "status"}\n')
            answer = agent.makefile("rb").readline()
        except OSError as error:
            return f"the agent does not answer: {error}"
    return str(json.loads(answer)["failure"]) if answer else "the agent ended before it answered"
