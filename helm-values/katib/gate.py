"""The gate before Katib's db-manager, which asks no caller who it is.

A pod of a project may report about a Trial of its own project, and nothing else. The controller may do all.
A caller is known by the address of its pod: the collector, a program of upstream, sends no token.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
from callers import DELETE, READ, REPORT, Cluster, UnknownCaller, address_of, refusal
from calls import ApiServer, CallError
from database import Manager
from google.protobuf.message import DecodeError

PORT = 6789
HEALTH = "/grpc.health.v1.Health/Check"
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# A pod that calls without end must not keep the reports of others waiting: calls above its share end at once.
_THREADS, _SHARE, _CALLS = 16, 4, 1024
_PATIENCE_SECONDS, _PAUSE_SECONDS = 20.0, 0.5  # a collector does not try again: its trial would fail
_UNKNOWN_SECONDS = 10.0  # until a new pod's address is known


class Gate(grpc.GenericRpcHandler):
    """Answers calls of the methods that there are, after the check of the caller."""

    def __init__(self, cluster: Cluster, own: str, manager: Manager) -> None:
        self._cluster, self._own, self._manager = cluster, own, manager
        self._running: Counter[str] = Counter()  # calls of each address
        self._lock = threading.Lock()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method not in (REPORT, READ, DELETE, HEALTH):
            return None
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, details.method))

    def _answer(self, method: str, message: bytes, context: grpc.ServicerContext) -> bytes:
        if method == HEALTH:  # the kubelet asks for it
            return self._forward(method, message, context)
        with self._turn(address_of(context.peer()), context):
            self._check(method, message, context)
            return self._forward(method, message, context)

    @contextmanager
    def _turn(self, address: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Count a call; end it if its address has as many as it may have at once."""
        with self._lock:
            taken = self._running[address] < _SHARE
            self._running[address] += taken
        if not taken:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{address} has {_SHARE} calls already")
        try:
            yield
        finally:
            with self._lock:
                self._running[address] -= 1
                if not self._running[address]:
                    del self._running[address]

    def _forward(self, method: str, message: bytes, context: grpc.ServicerContext) -> bytes:
        until = time.monotonic() + (_PATIENCE_SECONDS if method == REPORT else 0)
        while True:
            try:
                return self._manager.call(method, message)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                    context.abort(error.code(), error.details())
            time.sleep(_PAUSE_SECONDS)

    def _check(self, method: str, message: bytes, context: grpc.ServicerContext) -> None:
        address = address_of(context.peer())
        try:
            reason = self._patiently(method, message, address)
        except CallError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except DecodeError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if reason:
            print(f"refused {method} from {address}: {reason}", flush=True)  # noqa: T201 - the log of its pod
            context.abort(grpc.StatusCode.PERMISSION_DENIED, reason)

    def _patiently(self, method: str, message: bytes, address: str) -> str:
        began = time.monotonic()
        while True:
            try:
                return refusal(self._cluster, self._own, method, message, address)
            except UnknownCaller as error:
                if time.monotonic() > began + _UNKNOWN_SECONDS:
                    return str(error)
            except CallError as error:
                if error.status not in (0, 429, 500, 503) or time.monotonic() > began + _PATIENCE_SECONDS:
                    raise
            time.sleep(_PAUSE_SECONDS)


def main() -> None:
    os.umask(0o077)
    manager = Manager()
    child = manager.start()
    asked = threading.Event()

    def stop(*_: object) -> None:
        asked.set()
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), maximum_concurrent_rpcs=_CALLS)
    server.add_generic_rpc_handlers((Gate(ApiServer(), _NAMESPACE.read_text(), manager),))
    server.add_insecure_port(f"[::]:{PORT}")
    server.start()
    code = child.wait()
    server.stop(1).wait()
    sys.exit(0 if asked.is_set() else code or 1)


if __name__ == "__main__":
    main()
