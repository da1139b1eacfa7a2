"""Start a node from the host: cgroups, namespaces, the veth pair, then wait until the node is Ready."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlops_platform.adapters import process
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host import addons, addresses, containerd
from mlops_platform.clusters.host.api import Api, Unreachable
from mlops_platform.clusters.host.firewall import ask
from mlops_platform.clusters.host.layout import Node, Place
from mlops_platform.clusters.host.node import cgroups, network
from mlops_platform.clusters.host.node.supervision import Running, Supervision

READY_SECONDS = 120
# A program that ends this often during one start will not stay up.
_MOST_STARTS = 4
_HEARTBEAT_SECONDS = 45

Say = Callable[[str], None]
Starts = Mapping[str, int]


def start(node: Node, say: Say) -> None:
    """Start the node, or join a start in progress; return when it is Ready. Raises StepError."""
    supervision = Supervision(node)
    with supervision.changing():
        running = supervision.running()
        before = starts_of(supervision) if running else {}
        if not running:
            running = _begin(node, supervision, say)
        _load_pause(node, running, before, say)
        _wait_ready(node, supervision, running, before, say)
    say(f"node {node.name} is Ready")


def not_ready(node: Node, api: Api, since: float) -> str:
    """Return '' if a heartbeat after `since` (epoch seconds) says Ready, else the reason."""
    found = api.get(f"/api/v1/nodes/{node.name}")
    if found is None:
        return f"node {node.name} has not registered"
    conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready")
    if ready is None:
        return f"node {node.name} has no condition yet"
    # After a kill etcd still has the old Ready=True. Heartbeats are in whole seconds.
    heartbeat = datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp()
    if heartbeat <= int(since):
        return f"node {node.name}: its last heartbeat is {time.time() - heartbeat:.0f} s old"
    return "" if ready["status"] == "True" else f"node {node.name}: {ready.get('message', 'not Ready')}"


def unknown_pods(api: Api, since: float) -> str:
    """Return '' if kubelet has updated every pod since `since` (epoch seconds), else the pods it has not.

    After a kill etcd still has them as Running and Ready.
    """
    found = api.get("/api/v1/pods") or {"items": ()}
    old = [p["metadata"]["name"] for p in found["items"] if _before(p.get("status", {}), int(since))]
    return f"{len(old)} pods not updated since the start: {', '.join(old[:3])}" if old else ""


def unfiltered(running: Running) -> str:
    """Return '' if the present NetworkPolicies are in force, else the reason."""
    why = ask.wrong(running.init.pid)
    return f"network policies are not enforced: {why}" if why else ""


def _before(status: dict[str, Any], since: int) -> bool:
    """Return whether a container runs since before `since`. Times are in whole seconds."""
    states = [c.get("state", {}).get("running") for c in status.get("containerStatuses", ())]
    starts = [datetime.fromisoformat(s["startedAt"]).timestamp() for s in states if s and s.get("startedAt")]
    return any(start < since for start in starts)


def wrong(node: Node) -> str:
    """Return '' if the node is Ready by a recent heartbeat and has updated its pods, else the fault."""
    running = Supervision(node).running()
    if not running:
        return "the node is not running"
    try:
        api = Api(node, node.pki, "admin")
        return (
            not_ready(node, api, time.time() - _HEARTBEAT_SECONDS)
            or unfiltered(running)
            or unknown_pods(api, running.started)
        )
    except Unreachable as error:
        return f"the API server does not answer: {error.why}"
    except OSError as error:  # TLS files that are missing or broken
        return f"the API server cannot be called: {error}"


def _begin(node: Node, supervision: Supervision, say: Say) -> Running:
    """Remove the rest of an earlier start, whose lock is free, then start the supervisor."""
    lock = wait_until(
        "the end of an earlier supervisor",
        lambda: supervision.take() or Pending("its start was killed, or it is just ending"),
        seconds=10,
        command=f"fuser -v {node.folder}/supervisor.lock",
    )
    try:
        clear(node, supervision)
        network.require_free_interface(node)
        taken = addresses.conflict(node)
        if taken:
            raise StepError(
                f"the node's address {node.host_address} is taken on this machine",
                why=taken,
                hint="remove it there, or run `mlops-platform down`, then `up`, which picks another one",
                command=f"ip -4 addr show to {node.link}; ip -4 route show to match {node.address}",
            )
        say("starting the node's namespaces")
        return _spawn(node, supervision, lock)
    finally:
        os.close(lock)


def clear(node: Place, supervision: Supervision) -> None:
    """End and remove all parts of a node whose supervisor is dead. Raises WaitTimedOut."""
    cgroups.kill(node.group)
    network.remove(node)
    cgroups.remove(node.group)
    supervision.forget()


def _spawn(node: Node, supervision: Supervision, lock: int) -> Running:
    """Start supervisor and PID 1. PID 1 waits at the gate until the host has done its part.

    If this process dies before that, the gate closes and PID 1 ends.
    """
    node.logs.mkdir(exist_ok=True, mode=0o700)
    started = time.time()
    gate, ours = os.pipe()
    try:
        cgroups.create(node.group)
        supervisor = process.spawn(
            command("supervise", node, "--gate", str(gate), "--lock", str(lock)),
            stdout=node.logs / "init.log",
            pass_fds=(gate, lock),
        )
        os.close(gate)
        gate = -1
        running = wait_until(
            "the node's PID 1",
            lambda: _first_child(supervisor.pid, supervisor.poll(), started),
            seconds=60,  # an end is reported at once; a loaded machine is slow
            first_delay=0.005,
            longest_delay=0.05,
            command=f"cat {node.logs}/init.log",
        )
        for each in (running.supervisor, running.init):
            cgroups.retreat(node.group, each.pid)
        network.connect(node, running.init.pid)
        supervision.record(running)
        os.write(ours, b"1")
    finally:
        if gate >= 0:
            os.close(gate)
        os.close(ours)
    return running


def command(act: str, node: Place, *more: str) -> list[str]:
    return [sys.executable, "-m", __package__, act, "--config", str(node.file), *more]


def _first_child(pid: int, ended: int | None, started: float) -> Running | Pending:
    """Return the processes: unshare(1) forks once, after it made the namespaces, and its child is PID 1."""
    if ended is not None:
        raise StepError(f"the node's supervisor ended: exit {ended}", hint="read its log")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    supervisor = ProcessId.of(pid)
    init = ProcessId.of(int(children[0])) if children else None
    if not supervisor or not init:
        return Pending("unshare has not forked")
    return Running(supervisor, init, started)


def _load_pause(node: Node, running: Running, before: Starts, say: Say) -> None:
    """Load the pause image unless containerd lists it: without it no pod starts, and it cannot be pulled."""
    socket = containerd.Socket(running.init.pid)

    def serving() -> bool | Pending:
        still_up(node, Supervision(node), before)
        return socket.serving or Pending("containerd's socket does not exist")

    wait_until(
        "containerd", serving, seconds=60, longest_delay=0.1, command=f"cat {node.logs}/containerd.log"
    )
    if node.pause_image not in socket.images():
        say("loading the pause image")
        socket.load(node.pause_archive)


def _wait_ready(node: Node, supervision: Supervision, running: Running, before: Starts, say: Say) -> None:
    api = Api(node, node.pki, "admin")
    granted = False

    def observe() -> bool | Pending:
        nonlocal granted
        still_up(node, supervision, before)
        try:
            # At the first start, no pod can start without these rights.
            granted = granted or _grant(api)
            seen = not_ready(node, api, running.started) or unfiltered(running)
            if not seen and api.get("/api/v1/namespaces/default/serviceaccounts/default") is None:
                # The node is Ready 1 s earlier, and until then the API server rejects every pod.
                seen = "the default ServiceAccount does not exist"
        except Unreachable as error:
            seen = f"waiting for the API server: {error.why}"
        return Pending(seen) if seen else True

    wait_until(
        f"node {node.name} Ready",
        observe,
        seconds=READY_SECONDS,
        on_seen=say,
        first_delay=0.1,
        longest_delay=0.2,
        hint="read the logs of the node's programs",
        command=f"tail -n 30 {node.logs}/*.log",
    )


def _grant(api: Api) -> bool:
    """Create the firewall's RBAC, unless it exists: the add-ons keep it up to date. Raises Unreachable."""
    for manifest in addons.firewall_rights():
        kind = f"{manifest['kind'].lower()}s"
        status, answer = api.request("POST", f"/apis/{manifest['apiVersion']}/{kind}", manifest)
        if status not in (201, 409):
            raise Unreachable(f"{kind}: {status} {answer.get('message', '')}")
    return True


def starts_of(supervision: Supervision) -> Starts:
    """The number of starts of each program until now."""
    return {name: state.starts for name, state in supervision.daemons().items()}


def still_up(node: Place, supervision: Supervision, before: Starts) -> None:
    """Raise StepError if waiting is useless: the node has ended, or a program keeps ending.

    Starts `before` do not count: programs of a node that runs for months are restarted now and then.
    """
    if not supervision.alive():
        log = node.logs / "init.log"
        raise StepError("the node ended while it started", why=_end_of(log), command=f"cat {log}")
    for name, state in supervision.daemons().items():
        starts = state.starts - before.get(name, 0)
        if starts >= _MOST_STARTS:
            log = node.logs / f"{name}.log"
            raise StepError(
                f"the node's {name} does not stay up: {state.ended}, started {starts} times",
                why=_end_of(log),
                hint="fix the fault in the log, then run the same command again; the node keeps trying",
                command=f"less +G {log}",
            )


def _end_of(path: Path, lines: int = 15, most_bytes: int = 16384) -> str:
    """Return the last lines of a log, '' if it does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - most_bytes))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
