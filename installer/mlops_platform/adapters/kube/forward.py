"""Port-forwards: a listener on 127.0.0.1 that carries each connection to a pod that is ready."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlops_platform.adapters.kube.client import Kube, Object
from mlops_platform.adapters.kube.connection import Connection
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.kube.tunnel import Refused, Tunnel
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, PlatformError, StepError

_LOCAL = "127.0.0.1"
_SERVICE = "service/"
# A connection waits this long for a pod that is being replaced.
_POD_SECONDS = 60.0


@dataclass(frozen=True)
class Address:
    """The address of a forward's listener; as text '127.0.0.1:9000'."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@contextmanager
def forward(
    kube: Kube,
    namespace: str,
    selector: str,
    port: int,
    local_port: int = 0,
    *,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Address]:
    """Listen on a local port (0: a free one) and carry every connection to `port` of a ready pod.

    `selector` is 'service/NAME', and `port` then the Service's, or a label selector. Each connection
    looks for a pod again, so a replaced pod ends only the connections that it had. `note` gets a line, from
    another thread, when a connection fails. Raises StepError if the local port is taken or no pod is ready.
    """
    target = _Target(kube, namespace, selector, port)
    ready = target.look()
    if isinstance(ready, Pending):
        raise StepError(
            f"{selector} in {namespace}: no pod is ready to forward to",
            why=ready.seen,
            hint="look at the pods, then run up again",
            command=kube.kubectl("--namespace", namespace, "get", "pods"),
        )
    listener = _listen(local_port)
    stop = Cancel()
    connections: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # the listener was shut down
                return
            connections[:] = [each for each in connections if each.is_alive()]
            thread = threading.Thread(target=_carry, args=(target, client, stop, note), name="forward")
            connections.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, name="forward-accept")
    acceptor.start()
    try:
        yield Address(_LOCAL, listener.getsockname()[1])
    finally:
        stop.request()
        listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which closing does not
        acceptor.join()
        listener.close()
        for connection in connections:
            connection.join()


def free(port: int) -> bool:
    """Tell whether a local port can be listened on."""
    try:
        _listen(port).close()
    except StepError:
        return False
    return True


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_LOCAL, port), backlog=128)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise StepError(
            f"port {port} of this machine cannot be used",
            why=error.strerror or str(error),
            hint="choose another port, or 0 for a free one",
            command=f"ss --listening --tcp --processes sport = :{port}",
        ) from error


def _carry(target: _Target, client: socket.socket, stop: Cancel, note: Callable[[str], None]) -> None:
    """Carry one connection to its end."""
    with client:
        try:
            tunnel = wait_until("a ready pod", target.connect, seconds=_POD_SECONDS, cancel=stop)
            with tunnel:
                tunnel.carry(client, stop)
        except Interrupted:
            return
        except PlatformError as error:
            note(f"{error.what}: {error.why}" if error.why else error.what)


class _Target:
    """A ready pod and the port in it, looked for on every call."""

    def __init__(self, kube: Kube, namespace: str, selector: str, port: int) -> None:
        self._kube = kube
        self._namespace = namespace
        self._selector = selector
        self._port = port

    def connect(self) -> Tunnel | Pending:
        """Open a tunnel; Pending while no pod is ready, or if the pod has just gone."""
        found = self.look()
        if isinstance(found, Pending):
            return found
        try:
            connection = self._kube.connection
            assert isinstance(connection, Connection), "pods open no port-forward"
            return Tunnel.open(connection, self._namespace, *found)
        except Refused as error:
            return Pending(f"{error.what}: {error.why}")

    def look(self) -> tuple[str, int] | Pending:
        """Return the name of a ready pod and the port in it."""
        labels, service_port = self._selector, None
        if self._selector.startswith(_SERVICE):
            name = self._selector.removeprefix(_SERVICE)
            service = self._kube.get("v1", "Service", name, self._namespace)
            if not service:
                return Pending(f"there is no Service {name}")
            labels = ",".join(f"{k}={v}" for k, v in (service["spec"].get("selector") or {}).items())
            service_port = self._target_port(service)
            if not labels or service_port is None:
                return Pending(f"Service {name} has no pods, or no port {self._port}")
        pods = self._kube.list("v1", "Pod", self._namespace, labels=labels)
        if isinstance(service_port, str):  # of a release's several workloads one may serve it
            pods = [pod for pod in pods if _number(service_port, pod)] or pods
        states = [(pod, pod_state(pod)) for pod in pods]
        ready = [pod for pod, state in states if state is None]
        if not ready:
            waiting = [str(state) for _, state in states if state]
            return Pending(waiting[0] if waiting else "no pods")
        newest = max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        name, inside = newest["metadata"]["name"], self._port
        if service_port is not None:
            inside = _number(service_port, newest)
        if not inside:
            raise StepError(f"pod {name} declares no port named {service_port}")
        return name, inside

    def _target_port(self, service: Object) -> int | str | None:
        for port in service["spec"].get("ports") or []:
            if port["port"] == self._port:
                target: int | str = port.get("targetPort") or self._port
                return target
        return None


def _number(port: int | str, pod: Object) -> int:
    """The number of a container's port that a Service names; it differs between pods. 0: the pod has none."""
    if isinstance(port, int):
        return port
    for container in pod["spec"]["containers"]:
        for declared in container.get("ports") or []:
            if declared.get("name") == port:
                return int(declared["containerPort"])
    return 0
