"""Connections from inside a pod to many addresses at once; standard library only.

    reaching.py ask     connect to the targets of targets.json: one JSON line a target, once its answer is
                        stable, and one with the address of the pod's node
    reaching.py watch   connect to one address, forever: a line whenever the answer changes
    reaching.py serve   listen at a port, forever: accept every connection

It is mounted in a Job and never imported by the installer. Every error that prevents a connection
(a reset, a refusal, a timeout, an ICMP answer) counts the same: not reached.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

TARGETS = Path(__file__).with_name("targets.json")
_CONNECT_SECONDS = 2.0  # one lost packet is sent again after a second
_PAUSE_SECONDS = 0.25
_SAME = 3  # answers in a row that make it stable
_LONGEST_SECONDS = 60.0  # for answers that never agree
_LEAST_SECONDS = 1.0  # the longest time that a new pod was seen to leak connections


async def attempt(host: str, port: int) -> str:
    """'' when connected, else the name of the error."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _CONNECT_SECONDS)
    except OSError as error:  # TimeoutError is one
        return type(error).__name__
    writer.transport.abort()
    return ""


async def ask(target: dict[str, object], patience: float) -> dict[str, object]:
    """Connect until the last answers agree. A target that should be reached has `patience` seconds, since
    rules may not yet be on another node; any other target must never be reached, not even once."""
    started, answers = time.monotonic(), list[str]()
    while True:
        answers.append(await attempt(str(target["host"]), int(str(target["port"]))))
        waited = time.monotonic() - started
        same = len(answers) >= _SAME and len({not answer for answer in answers[-_SAME:]}) == 1
        missed = target["expected"] and answers[-1] and waited < patience
        if (same and waited >= _LEAST_SECONDS and not missed) or waited > _LONGEST_SECONDS:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return {
        "target": target["id"],
        "reached": not answers[-1],
        "ever": any(not answer for answer in answers),
        "stable": same,
        "attempts": len(answers),
        "last": answers[-1],
        "seconds": round(waited, 3),
    }


async def ask_all(targets: list[dict[str, object]], names: list[str], patience: float) -> None:
    for name in names:
        try:
            await asyncio.get_running_loop().getaddrinfo(name, None)
            found = ""
        except OSError as error:
            found = str(error)
        _say({"name": name, "error": found})
    for each in asyncio.as_completed([ask(target, patience) for target in targets]):
        _say(await each)


async def watch(host: str, port: int) -> None:
    """Print 'open' or 'shut' when several answers in a row differ from the last line."""
    printed, run, last = "", 0, ""
    while True:
        now = "shut" if await attempt(host, port) else "open"
        run, last = (run + 1 if now == last else 1), now
        if run >= _SAME and now != printed:
            printed = now
            print(now, flush=True)  # noqa: T201 - the pod's log is the answer
        await asyncio.sleep(0.05)


async def serve(port: int) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), port=port)
    async with server:
        await server.serve_forever()


def _say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - the pod's log is the answer


def main(act: str, *arguments: str) -> None:
    if act == "serve":
        asyncio.run(serve(int(arguments[0])))
    elif act == "watch":
        asyncio.run(watch(arguments[0], int(arguments[1])))
    else:
        _say({"node": os.environ["NODE_ADDRESS"]})
        spec = json.loads(TARGETS.read_text())
        asyncio.run(ask_all(spec["targets"], spec["names"], spec["patience"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
