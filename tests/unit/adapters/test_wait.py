"""`wait_until`: result, deadline with the last observation, cancel, errors of the observer."""

from __future__ import annotations

import threading

import pytest
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, WaitTimedOut


def test_wait_returns_the_first_result_and_reports_each_observation_once() -> None:
    seen: list[str] = []
    answers = iter([Pending("0/2"), Pending("0/2"), Pending("1/2"), "ready"])
    found = wait_until("pods", lambda: next(answers), seconds=10, on_seen=seen.append, first_delay=0.001)
    assert (found, seen) == ("ready", ["0/2", "1/2"])


def test_deadline_error_has_the_last_observation() -> None:
    with pytest.raises(WaitTimedOut) as caught:
        wait_until(
            "pod minio-0", lambda: Pending("ContainerCreating"), seconds=0.01, command="kubectl get pods"
        )
    assert caught.value.why == "last seen: ContainerCreating"
    assert caught.value.command == "kubectl get pods"


def test_cancel_ends_a_long_wait() -> None:
    cancel, waiting = Cancel(), threading.Event()

    def stop() -> None:
        waiting.wait(10)
        cancel.request()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        wait_until(
            "never",
            lambda: Pending("no"),
            seconds=600,
            cancel=cancel,
            on_seen=lambda _: waiting.set(),
            first_delay=300,
            longest_delay=300,
        )
    thread.join()


def test_error_of_the_observer_ends_the_wait() -> None:
    def broken() -> str | Pending:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait_until("x", broken, seconds=10)
