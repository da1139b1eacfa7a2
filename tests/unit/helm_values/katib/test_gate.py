"""The gate before Katib's database: real gRPC calls on loopback, from pods that a fake cluster knows."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules

NAMES = ("calls", "messages", "callers", "database", "gate")
OWN = "katib"
CONTROLLER = {"katib.kubeflow.org/component": "controller"}
OLD, NEW = "2026-11-29T10:00:00Z", "2026-11-29T11:00:00Z"


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[str, Any]]:
    with modules(ROOT / "helm-values/katib", NAMES) as found:
        yield dict(found)


def pod(namespace: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "p", "labels": labels or {}}, "spec": spec}


def trial(namespace: str, created: str = OLD) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "creationTimestamp": created}}


@dataclass
class Cluster:
    """The pods at the address of the caller, and the Trials of each name."""

    pods: list[dict[str, Any]] = field(default_factory=list)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    open: threading.Event | None = None  # the API server answers when it is set
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    late: int = 0  # so many lists of pods are without the caller

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        self.asked.append(query["fieldSelector"])
        if self.open:
            self.waiting.release()
            assert self.open.wait(30)
        if path.endswith("/pods"):
            self.late -= 1
            return self.pods if self.late < 0 else []
        return self.trials.get(query["fieldSelector"].removeprefix("metadata.name="), [])


class Backend(grpc.GenericRpcHandler):  # type: ignore[misc]
    """db-manager: it answers every method, after the errors that are left."""

    def __init__(self) -> None:
        self.errors: list[tuple[grpc.StatusCode, str]] = []
        self.calls: list[tuple[str, bytes]] = []

    def service(self, details: Any) -> Any:
        def answer(message: bytes, context: Any) -> bytes:
            self.calls.append((details.method.rpartition("/")[2], message))
            if self.errors:
                context.abort(*self.errors.pop(0))
            return b"answer"

        return grpc.unary_unary_rpc_method_handler(answer)


def serve(handler: Any) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "database"
    folder.mkdir()
    values = {"host": "postgres.postgres.svc", "port": "5432", "name": "katib", "user": "katib"}
    for key, value in {**values, "password": "one:two\\"}.items():
        (folder / key).write_text(value)
    return folder


@dataclass
class Gate:
    """A gate that is called over gRPC. `manager` is its connection to the backend."""

    address: str
    cluster: Cluster
    manager: Any
    passwords: Path

    def call(self, method: str, name: str = "") -> bytes:
        text = name.encode()
        message = b"\n" + bytes([len(text)]) + text if name else b""
        with grpc.insecure_channel(self.address) as channel:
            answer: bytes = channel.unary_unary(method)(message, timeout=30)
            return answer


@pytest.fixture
def gate(
    loaded: dict[str, Any], backend: Backend, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gate]:
    for address in serve(backend):
        monkeypatch.setattr(loaded["database"], "ADDRESS", address)
        passwords = tmp_path / "pgpass"
        manager, cluster = loaded["database"].Manager(secret, passwords), Cluster()
        for outside in serve(loaded["gate"].Gate(cluster, OWN, manager)):
            yield Gate(outside, cluster, manager, passwords)


def method(name: str) -> str:
    return f"/api.v1.beta1.DBManager/{name}ObservationLog"


@pytest.mark.parametrize("name", ["Report", "Get", "Delete"])
def test_controller_may_call_every_method(gate: Gate, name: str) -> None:
    gate.cluster.pods = [pod(OWN, CONTROLLER)]
    assert gate.call(method(name), "one") == b"answer"
    assert gate.cluster.asked == ["status.podIP=127.0.0.1,status.phase=Running"]


def test_pod_of_a_project_reports_about_a_trial_of_its_project(gate: Gate, backend: Backend) -> None:
    gate.cluster.pods = [pod("churn")]
    gate.cluster.trials = {"one": [trial("churn")]}
    assert gate.call(method("Report"), "one") == b"answer"
    assert backend.calls == [("ReportObservationLog", b"\n\x03one")]


@pytest.mark.parametrize(
    ("name", "pods", "trials", "reason"),
    [
        ("Get", [pod("churn")], [trial("churn")], "only reports"),
        ("Delete", [pod("churn")], [trial("churn")], "only reports"),
        ("Get", [pod(OWN)], [], "only reports"),
        ("Delete", [pod("churn", CONTROLLER)], [], "only reports"),
        ("Report", [pod("churn")], [trial("fraud")], "churn has no Trial one"),
        ("Report", [pod("churn")], [], "churn has no Trial one"),
        ("Report", [pod("churn")], [trial("churn", NEW), trial("fraud", OLD)], "churn has no Trial one"),
    ],
)
def test_other_calls_are_refused(
    gate: Gate, backend: Backend, name: str, pods: list[Any], trials: list[Any], reason: str
) -> None:
    gate.cluster.pods, gate.cluster.trials = pods, {"one": trials}
    with pytest.raises(grpc.RpcError, match=reason) as caught:
        gate.call(method(name), "one")
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert backend.calls == []


@pytest.mark.parametrize(
    "pods", [[], [pod("churn", hostNetwork=True)], [pod("churn"), pod("fraud")]], ids=["none", "node", "two"]
)
def test_caller_that_stays_unknown_is_refused(
    gate: Gate, loaded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, pods: list[Any]
) -> None:
    monkeypatch.setattr(loaded["gate"], "_UNKNOWN_SECONDS", 0)
    gate.cluster.pods, gate.cluster.trials = pods, {"one": [trial("churn")]}
    with pytest.raises(grpc.RpcError, match="no running pod has the address") as caught:
        gate.call(method("Report"), "one")
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_report_of_a_pod_that_is_not_known_yet_waits(gate: Gate) -> None:
    """The kubelet reports the address of a pod a moment after its program has started."""
    gate.cluster.pods, gate.cluster.trials, gate.cluster.late = [pod("churn")], {"one": [trial("churn")]}, 2
    assert gate.call(method("Report"), "one") == b"answer"


def test_last_name_of_a_trial_in_a_message_counts(gate: Gate, loaded: dict[str, Any]) -> None:
    """A message may have a field twice; db-manager takes the last one, so the check must too."""
    gate.cluster.trials = {"mine": [trial("churn")], "other": [trial("fraud")]}
    gate.cluster.pods = [pod("churn")]
    refusal, report = loaded["callers"].refusal, loaded["callers"].REPORT
    twice = b"\n\x04mine\n\x05other"
    assert refusal(gate.cluster, OWN, report, twice, "10.0.0.1") == "churn has no Trial other"


def test_message_that_is_none_is_an_invalid_argument(gate: Gate) -> None:
    gate.cluster.pods = [pod("churn")]
    with grpc.insecure_channel(gate.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method("Report"))(b"\xff\xff\xff", timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_health_needs_no_pod_and_other_services_are_not_there(gate: Gate) -> None:
    assert gate.call("/grpc.health.v1.Health/Check") == b"answer"
    with pytest.raises(grpc.RpcError) as caught:
        gate.call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_report_waits_for_a_database_manager_that_starts(gate: Gate, backend: Backend) -> None:
    """A collector does not try again, and its trial would fail."""
    gate.cluster.pods, gate.cluster.trials = [pod("churn")], {"one": [trial("churn")]}
    backend.errors = [(grpc.StatusCode.UNAVAILABLE, "starting")]
    assert gate.call(method("Report"), "one") == b"answer"
    assert len(backend.calls) == 2


def test_pod_that_calls_without_end_has_a_share_of_the_gate(gate: Gate) -> None:
    """All calls of the test come from one address: the fifth at once is refused, and none after them."""
    gate.cluster.pods, gate.cluster.open = [pod(OWN, CONTROLLER)], threading.Event()
    with futures.ThreadPoolExecutor(4) as pool:
        first = [pool.submit(gate.call, method("Get"), "one") for _ in range(4)]
        assert all(gate.cluster.waiting.acquire(timeout=30) for _ in first)
        with pytest.raises(grpc.RpcError, match="has 4 calls already") as caught:
            gate.call(method("Get"), "one")
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert gate.call("/grpc.health.v1.Health/Check") == b"answer"
        gate.cluster.open.set()
        assert [each.result() for each in first] == [b"answer"] * 4
    assert gate.call(method("Get"), "one") == b"answer"


def test_new_password_is_used_after_the_database_refuses_the_old_one(
    gate: Gate, backend: Backend, secret: Path
) -> None:
    gate.cluster.pods = [pod(OWN, CONTROLLER)]
    gate.manager.renew()
    assert gate.passwords.read_text() == "*:*:*:*:one\\:two\\\\\n"
    assert stat.S_IMODE(gate.passwords.stat().st_mode) == 0o600
    (secret / "password").write_text("three")
    backend.errors = [(grpc.StatusCode.UNKNOWN, 'pq: password authentication failed for user "katib"')]
    assert gate.call(method("Get"), "one") == b"answer"
    assert gate.passwords.read_text() == "*:*:*:*:three\n"


def test_other_errors_of_the_database_manager_reach_the_caller(gate: Gate, backend: Backend) -> None:
    gate.cluster.pods = [pod(OWN, CONTROLLER)]
    backend.errors = [(grpc.StatusCode.UNKNOWN, "pq: relation is missing")]
    with pytest.raises(grpc.RpcError, match="relation is missing") as caught:
        gate.call(method("Get"), "one")
    assert caught.value.code() == grpc.StatusCode.UNKNOWN
    assert len(backend.calls) == 1


def test_no_password_is_in_the_environment_of_the_database_manager(gate: Gate) -> None:
    found = gate.manager.environment()
    assert "one" not in repr(found)
    text = "user={DB_USER} password={DB_PASSWORD} dbname=katib".format_map(found)
    assert text == "user=katib application_name=' password=' dbname=katib"
    assert found["KATIB_POSTGRESQL_SSL_MODE"] == "disable"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:4711", "10.0.0.1"),
        ("ipv6:%5Bfd00::1%5D:4711", "fd00::1"),
        ("ipv6:[fd00::1]:4711", "fd00::1"),
        ("unix:/tmp/x", ""),
    ],
)
def test_address_of_a_peer(loaded: dict[str, Any], peer: str, address: str) -> None:
    assert loaded["callers"].address_of(peer) == address
