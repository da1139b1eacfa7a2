"""The controller of the routes: it watches InferenceServices and Services, and gives their routes to nginx.

It only reads: no finalizer, no annotation, no event. Several pods of the component do not need each other.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Any

import kopf
from publish import Publisher, Writer
from routes import Model, Route, Service, model_of, routes_of, service_of

_KIND = ("serving.kserve.io", "v1beta1", "inferenceservices")
# The API server ends a watch after this time, and the controller lists again: it does not wait forever at a
# connection that a network device has dropped.
_WATCH_SECONDS, _SPARE_SECONDS, _CONNECT_SECONDS = 240, 30, 10

log = logging.getLogger("routes")


class Controller:
    """The writer of the routes, which starts with the first event: then kopf has filled both indices."""

    def __init__(self) -> None:
        self._writer: Writer | None = None
        self._task: asyncio.Task[None] | None = None

    def changed(self, models: Any, services: Any) -> None:
        """Publish the routes of both indices, soon."""
        if not self._writer:

            def routes() -> Sequence[Route]:
                return routes_of(
                    *([v for store in index.values() for v in store] for index in (models, services))
                )

            self._writer = Writer(Publisher(), routes)
            self._task = asyncio.create_task(self._writer.run())
            self._task.add_done_callback(_ended)
        self._writer.change()


def _ended(task: asyncio.Task[None]) -> None:
    """End the program, which launch.py starts again, if the writer has failed."""
    if not task.cancelled():
        log.error("the writer of the routes failed", exc_info=task.exception())
        signal.raise_signal(signal.SIGTERM)


@kopf.on.login()
def login(**how: Any) -> Any:
    """Use the token of the pod; kopf calls this again when the API server rejects an old one."""
    return kopf.login_with_service_account(**how)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True  # it would watch namespaces and CRDs
    settings.watching.server_timeout = _WATCH_SECONDS
    settings.watching.client_timeout = _WATCH_SECONDS + _SPARE_SECONDS
    settings.watching.connect_timeout = _CONNECT_SECONDS
    memo.controller = Controller()


@kopf.index(*_KIND)
def models(body: kopf.Body, namespace: str, name: str, **_: Any) -> dict[tuple[str, str], Model] | None:
    found = model_of(body)
    if found and found.problem:
        log.warning("%s/%s: %s; spec.canary counts", namespace, name, found.problem)
    return {(namespace, name): found} if found else None


@kopf.index("v1", "services")
def services(body: kopf.Body, namespace: str, name: str, **_: Any) -> dict[tuple[str, str], Service] | None:
    found = service_of(body)
    return {(namespace, name): found} if found else None


@kopf.on.event(*_KIND)
@kopf.on.event("v1", "services")
async def changed(memo: kopf.Memo, models: Any, services: Any, **_: Any) -> None:
    memo.controller.changed(models, services)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # a line for each event
    kopf.run(standalone=True, clusterwide=True)
