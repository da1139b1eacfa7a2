"""Stored smoke results on a real API server, also written at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.engine.result import Result
from mlops_platform.engine.stored_results import NAME, NAMESPACE, passed, read, write

pytestmark = pytest.mark.integration

GOOD = [Result("rows", True), Result("refused: unknown user", True, negative=True)]


@pytest.fixture
def server(kube: Kube) -> Iterator[Kube]:
    """API server with the platform's namespace and no stored result."""
    ensure_namespace(kube, NAMESPACE, "test")
    yield kube
    kube.delete("v1", "ConfigMap", NAME, NAMESPACE)


def test_no_result_is_stored_at_first(server: Kube) -> None:
    assert read(server) == {}
    assert not passed(server, "store", "1")


def test_result_is_valid_for_one_digest(server: Kube) -> None:
    write(server, "store", "1", GOOD)
    assert passed(server, "store", "1") and not passed(server, "store", "2")
    record = read(server)["store"]
    assert (record.passed, record.failed, record.refused) == (2, 0, 1)
    assert datetime.now(UTC) - datetime.fromisoformat(record.when) < timedelta(minutes=1)


def test_failure_is_stored_and_is_not_passed(server: Kube) -> None:
    write(server, "store", "1", GOOD)
    write(server, "store", "1", [*GOOD, Result("more", False, "it broke")])
    assert not passed(server, "store", "1")
    assert read(server)["store"].failed == 1


def test_results_stored_at_the_same_time_are_all_kept(server: Kube) -> None:
    names = [f"component-{i}" for i in range(8)]
    threads = [threading.Thread(target=write, args=(server, name, name, GOOD)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(server).keys() == set(names)
