"""The HTTP interface of one model: V1 and V2 of the inference protocol, as an ASGI application.

Predictions run one after another in a thread, so that the probes of the kubelet are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from platform_serving import inputs
from platform_serving.inputs import BadInput, Given
from platform_serving.metrics import Metrics

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MODEL = re.compile(
    r"/v(?P<protocol>[12])/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/]+))?(?P<act>.*)"
)
_BODY_SECONDS = 60.0
_DISCARDED, _DISCARD_SECONDS = 8, 10.0  # times the largest body, of a body that is too large


class Served(Protocol):
    """What the interface needs of a model."""

    version: str

    def predict(self, given: Given) -> Any: ...
    @property
    def inputs(self) -> list[dict[str, Any]]: ...


class Outputs(Protocol):
    """The functions of outputs.py."""

    def v1(self, result: Any) -> dict[str, Any]: ...
    def v2(self, result: Any, model: str, version: str, id_: str) -> dict[str, Any]: ...


class _Answer(Exception):
    """An answer without a prediction."""

    def __init__(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.content, self.headers = status, content, dict(headers or {})


def _error(status: int, text: str, **headers: str) -> _Answer:
    return _Answer(status, {"error": text}, {k.replace("_", "-"): v for k, v in headers.items()})


class App:
    """Answers requests. `draining` makes every answer the last one of its connection."""

    def __init__(self, name: str, model: Served, outputs: Outputs, *, largest: int) -> None:
        self._name, self._model, self._outputs = name, model, outputs
        self._largest = largest  # bytes of one body; of all at once four times as much
        self._metrics = Metrics(name, model.version)
        self._pool, self._held = ThreadPoolExecutor(1, "predict"), 0
        self.draining = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "started with lifespan and websockets off"
        started, protocol = time.monotonic(), ""
        try:
            protocol, answer = await self._route(scope, receive)
        except _Answer as found:
            answer = found
            protocol = found.headers.pop("protocol", "")
        if protocol:
            self._metrics.answered(protocol, answer.status, time.monotonic() - started)
        await self._send(answer, send)

    async def _send(self, answer: _Answer, send: Send) -> None:
        text = answer.content if isinstance(answer.content, str) else json.dumps(answer.content)
        body = text.encode()
        kind = "text/plain; version=0.0.4" if isinstance(answer.content, str) else "application/json"
        headers = {"content-type": kind, "content-length": str(len(body)), **answer.headers}
        if self._model.version:
            headers["x-model-version"] = self._model.version
        if self.draining or answer.status in (408, 413):
            headers["connection"] = "close"
        pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    async def _route(self, scope: Message, receive: Receive) -> tuple[str, _Answer]:
        """The answer, with the protocol if it is a prediction. Raises _Answer."""
        path, method = scope["path"], scope["method"]
        found = _MODEL.fullmatch(path)
        if not found:
            return "", _of(method, self._plain(path))
        protocol, act = f"v{found['protocol']}", found["act"]
        if found["name"] != self._name:
            raise _error(404, f"no model {found['name']} here; this is {self._name}")
        if found["version"] and (protocol == "v1" or found["version"] != self._model.version):
            raise _error(
                404, f"no version {found['version']} here; this is {self._model.version or 'without one'}"
            )
        if (protocol, act) in (("v1", ":predict"), ("v2", "/infer")):
            if method != "POST":
                raise _error(405, f"{method} is not possible here", allow="POST")
            return protocol, await self._predict(protocol, scope, receive)
        if protocol == "v1" and not act:
            return "", _of(method, {"name": self._name, "ready": True})
        if protocol == "v2" and act == "/ready":
            return "", _of(method, {"name": self._name, "ready": True})
        if protocol == "v2" and not act:
            about = {"name": self._name, "platform": "mlflow", "inputs": self._model.inputs, "outputs": []}
            versions = {"versions": [self._model.version]} if self._model.version else {}
            return "", _of(method, {**about, **versions})
        raise _error(404, f"no such path: {path}")

    def _plain(self, path: str) -> object:
        """The content of paths that are of no model. Raises _Answer."""
        known: dict[str, object] = {
            "/": {"status": "alive"},
            "/v1/models": {"models": [self._name]},
            "/v2": {"name": "platform-serving", "version": "1", "extensions": []},
            "/v2/health/live": {"live": True},
            "/v2/health/ready": {"ready": True},
            "/v2/models": {"models": [self._name]},
        }
        if path == "/metrics":
            return self._metrics.text()
        if path not in known:
            raise _error(404, f"no such path: {path}")
        return known[path]

    async def _predict(self, protocol: str, scope: Message, receive: Receive) -> _Answer:
        """Predict, or raise an _Answer that says why not; its header `protocol` counts it."""
        try:
            body = await self._body(scope, receive)
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, self._answer, protocol, body)
            finally:
                self._held -= len(body)
        except _Answer as found:
            found.headers["protocol"] = protocol
            raise

    def _answer(self, protocol: str, body: bytes) -> _Answer:
        """Runs in the thread of predictions."""
        try:
            given = inputs.v1(body) if protocol == "v1" else inputs.v2(body)
            result = self._model.predict(given)
            if protocol == "v1":
                return _Answer(200, self._outputs.v1(result))
            return _Answer(200, self._outputs.v2(result, self._name, self._model.version, given.id))
        except BadInput as error:
            return _Answer(error.status, {"error": str(error)})
        except MemoryError:
            return _Answer(413, {"error": "the input needs more memory than the model has"})
        except Exception as error:  # noqa: BLE001 - code of the model
            traceback.print_exc()
            return _Answer(500, {"error": f"the model failed: {type(error).__name__}: {error}"})

    async def _body(self, scope: Message, receive: Receive) -> bytes:
        """The body of a request, counted in `_held` until its answer. Raises _Answer."""
        headers = {key.lower(): value for key, value in scope["headers"]}
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise _error(415, "compressed bodies are not supported")
        if b"inference-header-content-length" in headers:
            raise _error(415, "binary tensors are not supported: send JSON")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._largest:
            await self._discard(receive, int(length))
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _error(400, "the client closed the connection")
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > self._largest:
                        await self._discard(receive, size)
                        raise self._too_large()
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise _error(408, f"the body did not arrive within {_BODY_SECONDS:.0f} seconds") from None
        if self._held + size > 4 * self._largest:
            raise _error(503, "too many requests wait for the model", retry_after="1")
        self._held += size
        return b"".join(chunks)

    async def _discard(self, receive: Receive, size: int) -> None:
        """Read the rest of a body that is a little too large: clients read no answer while they send."""
        if size > _DISCARDED * self._largest:
            return
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (message := await receive()).get("more_body"):
                    size += len(message.get("body", b""))
                    if size > _DISCARDED * self._largest:
                        return
        except TimeoutError:
            pass  # the answer is the same, and closes the connection

    def _too_large(self) -> _Answer:
        text = f"the body has more than {self._largest >> 20} MiB: send fewer rows, or set MAX_BODY_MIB"
        return _error(413, text)


def _of(method: str, content: object) -> _Answer:
    """The answer to a request that only reads."""
    if method not in ("GET", "HEAD"):
        raise _error(405, f"{method} is not possible here", allow="GET")
    return _Answer(200, content)
