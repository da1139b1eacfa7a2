"""The reader: an HTTP server that gives stored logs to those who have the right `get logs` in the project.

GET /v1/projects/P/jobs                                {"jobs": [name]}
GET /v1/projects/P/jobs/J                              {"logs": [{pod, container, bytes, written, end}]}
GET /v1/projects/P/jobs/J/pods/POD/containers/C        text; ?timestamps=true, ?tail=LINES
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pages
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError
from platform_callers import Callers, grouped
from platform_limits import Denied
from platform_reviews import ApiServer, Caller, Reviews
from stored import DONE, Bucket, key_of, parts, require_names

AUDIENCE, GROUP = "job-logs", "job-logs.mlops-platform.io"
_MOST_PROJECTS = 500  # on the page; each is a review at the API server, kept for 10 s
_AT_ONCE = 16  # requests; each holds one part in memory
_WIDTH = 31  # of the longest timestamp in UTC, with its space

Line = bytes


class Reader:
    """The handlers of the server."""

    def __init__(self, bucket: Bucket, callers: Callers, reviews: Reviews) -> None:
        self._bucket, self._callers, self._reviews = bucket, callers, reviews
        self._free = asyncio.Semaphore(_AT_ONCE)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0, middlewares=[self._guard])
        project = "/v1/projects/{project}/jobs"
        app.router.add_get("/healthz", self.health)
        app.router.add_get(project, self.jobs)
        app.router.add_get(f"{project}/{{job}}", self.job)
        app.router.add_get(f"{project}/{{job}}/pods/{{pod}}/containers/{{container}}", self.log)
        app.router.add_get("/", self.projects_page)
        app.router.add_get("/projects/{project}", self.jobs_page)
        app.router.add_get("/projects/{project}/{job}", self.job_page)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the caller before anything is read; errors are JSON."""
        try:
            if "project" in request.match_info:
                require_names(*request.match_info.values())
                caller = await self._caller(request)
                await self._reviews.require(caller, "get", "logs", request.match_info["project"])
                async with self._free:
                    answer: web.StreamResponse = await handler(request)
            else:
                answer = await handler(request)
            return answer
        except Denied as denied:
            return web.json_response({"error": denied.message}, status=denied.status)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        except (BotoCoreError, ClientError) as error:
            text = f"the object store does not answer: {type(error).__name__}"
            return web.json_response({"error": text}, status=503)

    async def _caller(self, request: web.Request) -> Caller:
        return await self._callers.caller(grouped(request.raw_headers), request.remote or "")

    async def projects_page(self, request: web.Request) -> web.Response:
        """The projects whose logs the caller may read."""
        caller = await self._caller(request)
        found = (await asyncio.to_thread(self._bucket.folders, ""))[:_MOST_PROJECTS]
        may = [await self._reviews.allowed(caller, "get", "logs", project) for project in found]
        return pages.projects([project for project, allowed in zip(found, may, strict=True) if allowed])

    async def jobs_page(self, request: web.Request) -> web.Response:
        project = request.match_info["project"]
        return pages.jobs(project, await asyncio.to_thread(self._bucket.folders, f"{project}/"))

    async def job_page(self, request: web.Request) -> web.Response:
        project, job = request.match_info["project"], request.match_info["job"]
        return pages.job(project, job, await asyncio.to_thread(self._logs, project, job))

    def _logs(self, project: str, job: str) -> list[dict[str, Any]]:
        return list(logs(self._bucket, f"{project}/{job}/"))

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def jobs(self, request: web.Request) -> web.Response:
        prefix = f"{request.match_info['project']}/"
        return web.json_response({"jobs": await asyncio.to_thread(self._bucket.folders, prefix)})

    async def job(self, request: web.Request) -> web.Response:
        names = (request.match_info["project"], request.match_info["job"])
        found = await asyncio.to_thread(self._logs, *names)
        if not found:
            return web.json_response({"error": "no logs of this job"}, status=404)
        return web.json_response({"logs": found})

    async def log(self, request: web.Request) -> web.StreamResponse:
        prefix = "{project}/{job}/{pod}/{container}/".format(**request.match_info)
        stamps = request.query.get("timestamps") == "true"
        tail = int(request.query.get("tail", "0"))
        if tail < 0:
            raise ValueError("tail: a number of lines")
        found = await asyncio.to_thread(parts, self._bucket, prefix)
        if not found and await asyncio.to_thread(self._bucket.get, prefix + DONE) is None:
            return web.json_response({"error": "no log of this container"}, status=404)
        answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        answer.headers["X-Content-Type-Options"] = "nosniff"
        await answer.prepare(request)
        if tail:
            await answer.write(b"".join(await self._tail(prefix, found, tail, stamps=stamps)))
        else:
            async for text in self._lines(prefix, found, stamps=stamps):
                await answer.write(text)
        await answer.write_eof()
        return answer

    async def _lines(
        self, prefix: str, found: list[tuple[int, int]], *, stamps: bool
    ) -> AsyncIterator[bytes]:
        """The log, a part at a time, with a line for each gap."""
        expected = 0
        for offset, size in found:
            if offset > expected:
                gap = offset - expected
                yield f"[{gap} bytes (with timestamps) are missing: the log exceeded its limit]\n".encode()
            text = await asyncio.to_thread(self._bucket.get, key_of(prefix, offset))
            yield (text or b"") if stamps else plain(text or b"")
            expected = offset + size

    async def _tail(
        self, prefix: str, found: list[tuple[int, int]], tail: int, *, stamps: bool
    ) -> list[bytes]:
        """The last lines, from the last parts only."""
        lines: list[bytes] = []
        for offset, _ in reversed(found):
            text = await asyncio.to_thread(self._bucket.get, key_of(prefix, offset))
            lines = [*(text or b"").splitlines(keepends=True), *lines][-tail:]
            if len(lines) >= tail:
                break
        return lines if stamps else [plain(line) for line in lines]


def plain(text: bytes) -> bytes:
    """Lines without timestamps. The rest of a very long line has none."""
    return b"".join(_without(line) for line in text.splitlines(keepends=True))


def _without(line: bytes) -> bytes:
    stamp, space, rest = line.partition(b" ")
    return rest if space and len(stamp) < _WIDTH + 5 and stamp[4:5] == b"-" and b"T" in stamp else line


def logs(bucket: Bucket, prefix: str) -> Iterator[dict[str, Any]]:
    """Every log of a job: its size, the time when it was written last, and how the container ended."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in bucket.objects(prefix):
        pod, container, name = each["Key"].removeprefix(prefix).split("/")
        log = found.setdefault(
            (pod, container), {"pod": pod, "container": container, "bytes": 0, "end": None}
        )
        log["written"] = each["LastModified"].isoformat()
        if name == DONE:
            log["end"] = json.loads(bucket.get(each["Key"]) or b"{}")
        else:
            log["bytes"] += each["Size"]
    yield from found.values()


def main(port: int) -> None:
    reviews = Reviews(ApiServer(), AUDIENCE, GROUP)
    reader = Reader(Bucket(), Callers(reviews), reviews)
    web.run_app(reader.app(), host="0.0.0.0", port=port, access_log=None)  # noqa: S104 - its pod's


if __name__ == "__main__":
    main(int(sys.argv[1]))
