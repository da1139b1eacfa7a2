"""Follows the logs of containers, and writes them into the bucket while they grow."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from pods import Pod, pod_of
from stored import Bucket, Log, News, require_names

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_QUIET_SECONDS = 300.0  # a stream without a line may be dead: it is opened again
_PAUSE_SECONDS, _LONGEST_PAUSE = 1.0, 30.0
_FAULTS = (aiohttp.ClientError, TimeoutError, OSError, BotoCoreError, ClientError)

logger = logging.getLogger("job-logs")


class ApiServer:
    """Streams of logs, and other requests, with the pod's own account."""

    def __init__(self) -> None:
        trust = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._address = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=5, sock_read=_QUIET_SECONDS),
        )

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """A request as a context manager. The kubelet renews the token, so it is read each time."""
        headers = {"Authorization": f"Bearer {(_ACCOUNT / 'token').read_text().strip()}"}
        return self._session.request(method, f"{self._address}{path}", json=body, headers=headers)

    async def close(self) -> None:
        await self._session.close()


class Rate:
    """A limit of bytes per second for all streams together."""

    def __init__(self, per_second: int) -> None:
        self._per_second, self._free_at = per_second, 0.0

    async def take(self, size: int) -> None:
        now = time.monotonic()
        self._free_at = max(self._free_at, now - 1) + size / self._per_second
        await asyncio.sleep(max(0.0, self._free_at - now))


class Collector:
    """One task for each container of a job's pod, within limits."""

    def __init__(self, api: ApiServer, bucket: Bucket, settings: Mapping[str, str]) -> None:
        self._api, self._bucket = api, bucket
        self._limit, self._rate = int(settings["LOG_BYTES"]), Rate(int(settings["BYTES_PER_SECOND"]))
        self._all = asyncio.Semaphore(int(settings["STREAMS"]))
        of_project = int(settings["STREAMS_OF_PROJECT"])
        self._projects: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(of_project))
        self._pods: dict[tuple[str, str], Pod] = {}
        self._tasks: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._logs: dict[tuple[str, str, str], Log] = {}

    def see(self, project: str, body: Mapping[str, Any], *, gone: bool = False) -> None:
        """Take the state of a pod, and follow containers that have started since."""
        seen = pod_of(project, body)
        if seen is None:
            return
        pod = self._pods.setdefault((project, seen.name), seen)
        pod.body, pod.gone = body, gone
        pod.changed.set()
        for container in pod.states():
            key = (project, pod.name, container)
            if key not in self._tasks:
                self._tasks[key] = asyncio.create_task(self._keep(pod, container, key))
        if gone:
            del self._pods[project, seen.name]
            for key in [k for k in self._tasks if k[:2] == (project, seen.name) and self._tasks[k].done()]:
                del self._tasks[key]

    async def _keep(self, pod: Pod, container: str, key: tuple[str, str, str]) -> None:
        """Follow one container to its end; after a fault, again."""
        require_names(pod.project, pod.job, pod.name, container)
        prefix = f"{pod.project}/{pod.job}/{pod.name}/{container}/"
        log = Log(self._bucket, prefix, self._limit)
        async with self._projects[pod.project], self._all:
            pause = _PAUSE_SECONDS
            loaded = False
            while not log.done:
                try:
                    if not loaded:
                        await asyncio.to_thread(log.load)
                        loaded, self._logs[key] = True, log
                    if not log.done:
                        await self._follow(pod, container, log)
                    pause = _PAUSE_SECONDS
                except _FAULTS as error:
                    logger.warning("%s: %s: %s", prefix, type(error).__name__, error)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        self._logs.pop(key, None)
        if pod.gone:
            self._tasks.pop(key, None)

    async def _follow(self, pod: Pod, container: str, log: Log) -> None:
        """Read until the stream ends.

        A container that has ended is read once more from the last line, without following: a stream may break
        at any line, and that looks like its end.
        """
        pod.changed.clear()
        last = pod.ended(container)
        there = await self._stream(pod, container, log, follow=not last)
        await asyncio.to_thread(log.write)
        if last or not there:
            # Without it, lines after the last one that is stored may be missing.
            await asyncio.to_thread(log.finish, {**pod.end(container), "complete": there})
        elif not pod.ended(container):
            try:
                await asyncio.wait_for(pod.changed.wait(), _PAUSE_SECONDS)
            except TimeoutError:
                return

    async def _stream(self, pod: Pod, container: str, log: Log, *, follow: bool) -> bool:
        """Read one stream to its end. False if the pod is gone."""
        query = {"container": container, "timestamps": "true", "follow": str(follow).lower()}
        query |= {"sinceTime": log.since} if log.since else {}
        path = f"/api/v1/namespaces/{pod.project}/pods/{pod.name}/log?{urlencode(query)}"
        async with self._api.request("GET", path) as answer:
            if answer.status == 404:
                return False
            if answer.status == 400:  # not started, or its log is gone with the node's file
                return not pod.ended(container)
            answer.raise_for_status()
            news = log.news()
            await self._read(answer.content, news, log)
            log.append(news.end())
        return True

    async def _read(self, content: aiohttp.StreamReader, news: News, log: Log) -> None:
        written = time.monotonic()
        quiet = written
        while True:
            now = time.monotonic()
            left = max(0.0, written + log.delay - now) if log.dirty else _QUIET_SECONDS
            try:
                data = await asyncio.wait_for(content.readany(), left)
            except TimeoutError:
                if not log.dirty and time.monotonic() - quiet >= _QUIET_SECONDS:
                    return  # it may be dead: the caller opens it again
                data = None
            if data:
                if not log.dirty:
                    written = time.monotonic()  # the first line after a pause waits as long as others
                quiet = time.monotonic()
                await self._rate.take(len(data))
                log.append(news.feed(data))
            if log.full or (log.dirty and time.monotonic() - written >= log.delay):
                await asyncio.to_thread(log.write)
                written = time.monotonic()
            if data == b"":
                return

    async def stop(self) -> None:
        """Stop, and write what is in memory."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        writes = (asyncio.to_thread(log.write) for log in self._logs.values())
        for error in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(error, Exception):
                logger.warning("not written: %s: %s", type(error).__name__, error)
