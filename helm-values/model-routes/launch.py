"""Start of the pod: the authorization of callers, nginx, and the controller that writes its routes.

The controller may end, and is started again: nginx keeps the routes that it has. If nginx ends, the pod ends.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from aiohttp import web
from authorize import AUDIENCE, GROUP, Authorizer
from platform_callers import Callers, grouped
from platform_reviews import ApiServer, Reviews
from publish import MAIN, Publisher

ADDRESS, PORT = "127.0.0.1", 8082  # as in nginx.conf
CONTROLLER = Path(__file__).with_name("controller.py")
_AGAIN_SECONDS = 2.0
_BACKLOG = 1024

log = logging.getLogger("launch")


async def authorization() -> None:
    """Answer nginx on the pod's loopback."""
    reviews = Reviews(ApiServer(), AUDIENCE, GROUP)
    authorizer = Authorizer(Callers(reviews), reviews)

    async def authorize(request: web.Request) -> web.Response:
        status, headers = await authorizer.answer(grouped(request.raw_headers))
        return web.Response(status=status, headers=headers)

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_route("*", "/authorize", authorize)
    app.router.add_get("/healthz", healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, PORT, backlog=_BACKLOG).start()


async def control() -> None:
    """Run the controller, and start it again when it ends."""
    while True:
        process = await asyncio.create_subprocess_exec(sys.executable, str(CONTROLLER))
        try:
            log.error("the controller ended with %s; it starts again", await process.wait())
        except asyncio.CancelledError:
            process.terminate()
            raise
        await asyncio.sleep(_AGAIN_SECONDS)


async def main() -> int:
    """Run until nginx ends; its exit code. SIGTERM lets running requests finish."""
    Publisher().prepare()
    await authorization()
    nginx = await asyncio.create_subprocess_exec("nginx", "-c", str(MAIN), "-e", "stderr")
    controller = asyncio.create_task(control())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, nginx.send_signal, signal.SIGQUIT)
    code = await nginx.wait()
    controller.cancel()
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    sys.exit(asyncio.run(main()))
