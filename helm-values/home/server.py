"""The server of the home page: four files, and two questions that are answered in JSON.

GET /v1/home                 every UI, the projects of the person
GET /v1/projects/P           lists of one project; 403 for a project of others
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from aiohttp import web
from page import GROUP, Page, Table
from platform_callers import Callers, grouped
from platform_limits import Budget, Denied
from platform_reviews import Caller, Reviews
from reading import Cluster

FOLDER = Path(__file__).parent
AUDIENCE = "home"  # of tokens, which no account has
_FILES = {
    "/": ("index.html", "text/html"),
    "/home.css": ("home.css", "text/css"),
    "/home.js": ("home.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # pages of other UIs are of the same site
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Questions of one person: so many at once, then so many per second; and of all people at a time.
_AT_ONCE, _PER_SECOND, _PEOPLE = 60, 6, 4096
_WORKERS = 16
_CALLER = web.RequestKey("caller", Caller)


class Server:
    """The handlers. Every request but the kubelet's needs a person whom the gateway names."""

    def __init__(self, page: Page, callers: Callers) -> None:
        self._page, self._callers = page, callers
        self._asked = Budget(_AT_ONCE, _PER_SECOND, _PEOPLE)
        self._free = asyncio.Semaphore(_WORKERS)
        self._files = {path: (FOLDER / name).read_bytes() for path, (name, _) in _FILES.items()}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/healthz", self._health)
        for path in _FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/v1/home", self._overview)
        app.router.add_get("/v1/projects/{project}", self._project)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the caller before anything else; errors are JSON."""
        answer: web.StreamResponse
        try:
            if request.path != "/healthz":
                request[_CALLER] = await self._caller(request)
            answer = await handler(request)
        except Denied as denied:
            answer = _json({"error": denied.message}, denied.status)
        except web.HTTPException as error:
            answer = _json({"error": error.reason}, error.status)
        answer.headers.update(_HEADERS)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _caller(self, request: web.Request) -> Caller:
        headers = grouped(request.raw_headers)
        if "authorization" in headers:  # the gateway removes it
            raise Denied(401, "this server takes no tokens: open the page in a browser")
        if request.body_exists:
            raise Denied(413, "no question has a body")
        return await self._callers.caller(headers, request.remote or "")

    async def _question(self, request: web.Request) -> Caller:
        """Count a question of the person. Raises Denied (403, 429)."""
        # Code in pages of other UIs, such as a notebook, cannot read the answer, and gets none.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Denied(403, "a page of another address asks")
        caller: Caller = request[_CALLER]

        async def counts() -> bool:
            return False

        try:
            await self._asked.spend(caller.user, counts)
        except Denied as denied:
            raise Denied(429, "too many requests; wait some seconds") from denied
        return caller

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path], _FILES[request.path][1]
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)

    async def _overview(self, request: web.Request) -> web.Response:
        caller = await self._question(request)
        async with self._free:
            return _json(await self._page.overview(caller))

    async def _project(self, request: web.Request) -> web.Response:
        caller, project = await self._question(request), request.match_info["project"]
        if not _PROJECT.fullmatch(project):
            raise Denied(404, "no project has this name")
        async with self._free:
            return _json(await self._page.project(caller, project))


def _json(content: object, status: int = 200) -> web.Response:
    return web.json_response(content, status=status)


def main(port: int) -> None:
    table: Table = json.loads((FOLDER / "catalogue.json").read_text())
    cluster = Cluster((table["runs"] or {}).get("api", ""))
    reviews = Reviews(cluster, AUDIENCE, GROUP)
    app = Server(Page(table, cluster, reviews), Callers(reviews)).app()
    # lingering_time: a body that nothing reads ends the connection.
    web.run_app(app, host="0.0.0.0", port=port, access_log=None, shutdown_timeout=5, lingering_time=0)  # noqa: S104


if __name__ == "__main__":
    main(int(sys.argv[1]))
