"""The collector against a server that streams logs as the API server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.unit.helm_values.job_logs.conftest import Objects, load

following, stored = load("following"), load("stored")
SETTINGS = {"LOG_BYTES": "9000000", "BYTES_PER_SECOND": "9000000", "STREAMS": "3", "STREAMS_OF_PROJECT": "2"}
LINES = [f"2026-11-29T17:00:{i // 10:02}.{i % 10}00000000Z line {i}\n".encode() for i in range(100)]


@dataclass
class Cluster:
    """Logs of all pods: `lines` are there; a stream with `follow` waits for more until `ended`."""

    lines: list[bytes] = field(default_factory=list)
    ended: bool = False
    status: int = 200
    breaks_after: int = 10**9  # lines of one stream
    streams: list[str] = field(default_factory=list)
    most: int = 0
    _open: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.streams.append(request.path)
        if self.status != 200:
            return web.Response(status=self.status)
        response, sent = web.StreamResponse(), 0
        await response.prepare(request)
        self._open += 1
        self.most = max(self.most, self._open)
        since = request.query.get("sinceTime", "")[:19].encode()
        try:
            for i in range(10**6):
                while i >= len(self.lines) and request.query["follow"] == "true" and not self.ended:
                    self.changed.clear()
                    await self.changed.wait()
                if i >= len(self.lines) or sent >= self.breaks_after:
                    break
                if self.lines[i][:19] >= since:
                    await response.write(self.lines[i])
                    sent += 1
        finally:
            self._open -= 1
        return response

    def write(self, *lines: bytes, ended: bool = False) -> None:
        self.lines += lines
        self.ended = ended
        self.changed.set()


class Api:
    """The part of the API server's client that the collector uses."""

    def __init__(self, port: int) -> None:
        self._port, self._session = port, aiohttp.ClientSession()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        return self._session.request(method, f"http://127.0.0.1:{self._port}{path}", json=body)

    async def close(self) -> None:
        await self._session.close()


Act = Callable[[Cluster, Callable[[], Any]], Awaitable[None]]


def run(store: Objects, act: Act) -> None:
    """Run a test with a cluster and a function that makes collectors; all are stopped after it."""

    async def whole() -> None:
        async with running() as (cluster, port):
            made: list[tuple[Any, Api]] = []

            def collector() -> Any:
                api = Api(port)
                one = following.Collector(api, stored.Bucket(client=store), SETTINGS)
                made.append((one, api))
                return one

            try:
                await asyncio.wait_for(act(cluster, collector), 30)
            finally:
                cluster.write(ended=True)
                for one, api in made:
                    await one.stop()
                    await api.close()

    asyncio.run(whole())


@asynccontextmanager
async def running() -> Any:
    cluster, app = Cluster(), web.Application()
    app.router.add_get("/{path:.*}", cluster.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield cluster, runner.addresses[0][1]
    finally:
        await runner.cleanup()


def pod(phase: str = "Running", name: str = "fit-abcde") -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    state = {"running": {}} if phase == "Running" else ended
    return {
        "metadata": {"name": name, "labels": {"batch.kubernetes.io/job-name": "fit"}},
        "spec": {"restartPolicy": "Never"},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await asyncio.sleep(0.01)


def done(store: Objects, name: str = "fit-abcde") -> bytes:
    return store.objects.get(f"churn/fit/{name}/main/done.json", b"")


def test_lines_are_stored_while_the_container_runs(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        one = collector()
        one.see("churn", pod())
        cluster.write(*LINES[:5])
        await until(lambda: store.text == b"".join(LINES[:5]))
        cluster.write(*LINES[5:9])
        await until(lambda: store.text == b"".join(LINES[:9]))
        assert not done(store)

    run(store, act)


def test_next_collector_continues_and_finishes(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        first = collector()
        first.see("churn", pod())
        cluster.write(*LINES[:37])
        await until(lambda: bool(store.text))
        await first.stop()
        cluster.write(*LINES[37:], ended=True)
        collector().see("churn", pod("Failed"))
        await until(lambda: bool(done(store)))
        assert store.text == b"".join(LINES)
        assert json.loads(done(store)) == {"exitCode": 3, "reason": "Error", "complete": True}

    run(store, act)


def test_stop_stores_what_is_in_memory(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        one = collector()
        one.see("churn", pod())
        cluster.write(*LINES[:3])
        await until(lambda: any(log.dirty for log in one._logs.values()))
        await one.stop()
        assert store.text == b"".join(LINES[:3])

    run(store, act)


def test_stream_that_breaks_is_opened_again_where_it_was(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        cluster.breaks_after = 30
        one = collector()
        one.see("churn", pod())
        cluster.write(*LINES, ended=False)
        await until(lambda: len(store.text) == len(b"".join(LINES)))
        one.see("churn", pod("Failed"))
        cluster.write(ended=True)
        await until(lambda: bool(done(store)))
        assert store.text == b"".join(LINES)

    run(store, act)


def test_finished_log_is_not_read_again(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        cluster.write(*LINES, ended=True)
        collector().see("churn", pod("Failed"))
        await until(lambda: bool(done(store)))
        before, again = len(cluster.streams), collector()
        again.see("churn", pod("Failed"))
        await until(lambda: all(task.done() for task in again._tasks.values()))
        assert len(cluster.streams) == before

    run(store, act)


@pytest.mark.parametrize("status", [404, 400])
def test_log_of_a_pod_that_is_gone_ends(store: Objects, status: int) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        cluster.status = status
        one = collector()
        one.see("churn", pod())
        one.see("churn", pod("Failed"), gone=True)
        await until(lambda: bool(done(store)))
        assert json.loads(done(store))["complete"] is False

    run(store, act)


def test_error_of_the_api_server_is_retried(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        cluster.status = 500
        cluster.write(*LINES, ended=True)
        collector().see("churn", pod("Failed"))
        await until(lambda: bool(cluster.streams))
        cluster.status = 200
        await until(lambda: bool(done(store)))
        assert store.text == b"".join(LINES)

    run(store, act)


def test_projects_and_all_together_have_a_limit_of_streams(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        one = collector()
        for project in ("churn", "other", "third"):
            for i in range(3):
                one.see(project, pod(name=f"fit-{i}"))
        await until(lambda: len(cluster.streams) == 3)
        assert len({path for path in cluster.streams if "/churn/" in path}) == 2
        cluster.write(*LINES[:1], ended=True)
        for project in ("churn", "other", "third"):
            for i in range(3):
                one.see(project, pod("Failed", name=f"fit-{i}"))
        await until(lambda: sum(key.endswith("done.json") for key in store.objects) == 9)
        assert cluster.most <= 3

    run(store, act)


def test_pod_that_is_gone_needs_no_memory(store: Objects) -> None:
    async def act(cluster: Cluster, collector: Callable[[], Any]) -> None:
        cluster.write(*LINES[:1], ended=True)
        one = collector()
        one.see("churn", pod("Failed"))
        await until(lambda: bool(done(store)))
        one.see("churn", pod("Failed"), gone=True)
        await until(lambda: not (one._tasks or one._logs or one._pods))

    run(store, act)
