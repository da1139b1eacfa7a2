"""The node's command line: `start` and `stop` for Terraform and people, the rest for internal use.

python -m mlops_platform.clusters.host.node start|stop --config FILE
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mlops_platform.base.errors import PlatformError
from mlops_platform.clusters.host.layout import Node
from mlops_platform.clusters.host.node import cgroups, init
from mlops_platform.clusters.host.node.start import command, start
from mlops_platform.clusters.host.node.stop import stop

# --kill-child ties PID 1's life to the supervisor's, and a pid namespace dies with its PID 1.
_UNSHARE = (
    *("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"),
    *("--fork", "--kill-child=KILL", "--propagation", "private"),
)

# Inherited by all programs of the node: no variable of the caller, because it may be a credential.
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/run/tmp",
    "TMPDIR": "/run/tmp",
    "LANG": "C.UTF-8",
    "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("act", choices=["start", "stop", "supervise", "init"])
    parser.add_argument("--config", type=Path, required=True, help="node.json in the node's state folder")
    parser.add_argument("--gate", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--lock", type=int, default=-1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        if arguments.act == "stop" and not arguments.config.exists():
            _say(f"{arguments.config} is missing: the sweep of `down` ends processes that still run")
            return 0
        node = Node.read(arguments.config)
        if arguments.act == "start":
            start(node, _say)
        elif arguments.act == "stop":
            stop(node, _say)
        elif arguments.act == "supervise":
            _supervise(node, arguments.gate, arguments.lock)
        else:
            os.set_inheritable(arguments.lock, False)  # only PID 1 holds it, not the programs that it starts
            init.main(node, arguments.gate)
    except PlatformError as error:
        _complain(error)
        return int(error.exit_code)
    return 0


def _supervise(node: Node, gate: int, lock: int) -> None:
    """Become the supervisor: join the cgroups, which the cgroup namespace then takes as its root."""
    cgroups.join(node.group)
    argv = [*_UNSHARE, *command("init", node, "--gate", str(gate), "--lock", str(lock))]
    os.execvpe(argv[0], argv, _ENVIRONMENT)  # noqa: S606


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _complain(error: PlatformError) -> None:
    rows = (("", error.what), ("", error.why), ("hint: ", error.hint), ("command: ", error.command))
    sys.stderr.write("".join(f"{label}{text}\n" for label, text in rows if text))


if __name__ == "__main__":
    raise SystemExit(main())
