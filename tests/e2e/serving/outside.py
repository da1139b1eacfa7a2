"""A client outside of the cluster that asks models through the gateway, once or at a fixed rate."""

from __future__ import annotations

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

import urllib3
from mlops_platform.adapters.kube import Kube

_CLIENTS = 8


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    version: str  # of the model
    predictor: str  # 'stable', or the name of a canary


@dataclass(frozen=True)
class Outside:
    """The gateway's address, and the tokens of users."""

    port: int
    host: str
    authority: str
    tokens: dict[str, str]

    @property
    def pool(self) -> urllib3.HTTPSConnectionPool:
        """A client with one connection of its own."""
        return urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            self.port,
            ssl_context=ssl.create_default_context(cafile=self.authority),
            server_hostname=self.host,
            assert_hostname=self.host,
            timeout=30,
            retries=False,
        )

    def ask(
        self,
        project: str,
        model: str,
        user: str,
        body: bytes = b"{}",
        pool: urllib3.HTTPSConnectionPool | None = None,
    ) -> Answer:
        """Ask for a prediction over V1; '' is a client without a login."""
        headers = {"Host": f"{self.host}:{self.port}", "Content-Type": "application/json"}
        if user:
            headers["Authorization"] = f"Bearer {self.tokens[user]}"
        path = f"/{project}/{model}/v1/models/{model}:predict"
        used = pool or self.pool
        try:
            got = used.urlopen("POST", path, body=body, headers=headers, redirect=False)
        finally:
            if not pool:
                used.close()
        version, predictor = (got.headers.get(name, "") for name in ("x-model-version", "x-model-predictor"))
        return Answer(got.status, got.data.decode(), version, predictor)


class Load:
    """Requests at a fixed rate, until the end of the block. Half of the clients keep their connection."""

    def __init__(
        self, outside: Outside, project: str, model: str, user: str, body: bytes, rate: float
    ) -> None:
        self.answers: list[Answer] = []
        self.failed: list[str] = []
        self._outside, self._asked, self._rate = outside, (project, model, user, body), rate
        self._pool, self._end, self._lock = ThreadPoolExecutor(_CLIENTS), Event(), Lock()
        self._next, self._start = 0, time.monotonic()

    def __enter__(self) -> Load:
        self._clients = [self._pool.submit(self._client, n % 2 == 0) for n in range(_CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._end.wait(2)  # the last change under load too
        self._end.set()
        self._pool.shutdown()
        for each in self._clients:
            each.result()

    def _client(self, stays: bool) -> None:
        kept = self._outside.pool if stays else None
        while not self._end.wait(max(0.0, self._start + self._take() / self._rate - time.monotonic())):
            try:
                answer = self._outside.ask(*self._asked, pool=kept)
            except urllib3.exceptions.HTTPError as error:
                self._failed(repr(error))
                continue
            self.answers.append(answer)
            if answer.status != 200:
                self._failed(str(answer))

    def _take(self) -> int:
        with self._lock:
            self._next += 1
            return self._next

    def _failed(self, text: str) -> None:
        self.failed.append(f"{time.monotonic() - self._start:.1f}s: {text}")


class Fewest:
    """The smallest number of ready pods of a model during the block, counted four times a second."""

    def __init__(self, kube: Kube, project: str, model: str) -> None:
        self._kube, self._where = kube, (project, f"serving.kserve.io/inferenceservice={model}")
        self.seen, self._end, self._pool = self._ready(), Event(), ThreadPoolExecutor(1)

    def __enter__(self) -> Fewest:
        self._watch = self._pool.submit(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._watch.result()

    def _count(self) -> None:
        while not self._end.wait(0.25):
            self.seen = min(self.seen, self._ready())

    def _ready(self) -> int:
        project, label = self._where
        pods = self._kube.list("v1", "Pod", project, labels=label)
        conditions = (c for pod in pods for c in pod["status"].get("conditions", []))
        return sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
