"""Limits of bad pod states during a wait."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from mlops_platform.adapters.kube.patience import CRASHES, Patience
from mlops_platform.adapters.kube.rollout import State


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def state(reason: str, *, restarts: int = 0, uid: str = "u1") -> State:
    return State("pod", "p", uid, reason, container="main", restarts=restarts)


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        ("InvalidImageName", 0),
        ("ErrImageNeverPull", 0),
        ("CreateContainerConfigError", 30),
        ("CreateContainerError", 30),
        ("RunContainerError", 30),
        ("FailedCreate", 30),
        ("ErrImagePull", 120),
        ("ImagePullBackOff", 120),
    ],
)
def test_permanent_state_ends_the_wait_after_its_limit(reason: str, seconds: float) -> None:
    clock = Clock()
    patience = Patience(clock)
    if seconds:
        assert patience.exhausted([state(reason)]) is None
        clock.now += seconds - 1
        assert patience.exhausted([state(reason)]) is None
        clock.now += 1
    assert patience.exhausted([state(reason)]) == state(reason)


@pytest.mark.parametrize("reason", ["ContainerCreating", "Unschedulable", "NotReady", "Terminating"])
def test_temporary_state_has_no_limit(reason: str) -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state(reason)])
    clock.now += 3600
    assert patience.exhausted([state(reason)]) is None


def test_both_reasons_of_a_failed_pull_share_one_limit() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("ErrImagePull")])
    clock.now += 60
    patience.exhausted([state("ImagePullBackOff")])
    clock.now += 60
    assert patience.exhausted([state("ErrImagePull")])


def test_limit_restarts_if_the_state_was_gone() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("FailedCreate")])
    clock.now += 29
    patience.exhausted([])
    clock.now += 2
    assert patience.exhausted([state("FailedCreate")]) is None


def test_limit_restarts_for_a_replaced_pod() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("RunContainerError")])
    clock.now += 31
    assert patience.exhausted([state("RunContainerError", uid="u2")]) is None


def looping(restarts: int) -> State:
    return state("CrashLoopBackOff", restarts=restarts)


def test_crashes_count_if_only_ended_is_reported() -> None:
    """Kubelet 1.35 reports it so between two restarts."""
    patience = Patience()
    assert patience.exhausted([state("Ended")]) is None
    assert patience.exhausted([state("NotReady", restarts=2)]) is None
    assert patience.exhausted([state("Ended", restarts=2)]) is None
    assert patience.exhausted([state("Ended", restarts=3)])


def test_wait_ends_at_the_last_allowed_crash() -> None:
    patience = Patience()
    assert patience.exhausted([state("ContainerCreating")]) is None
    for restarts in range(1, CRASHES):
        assert patience.exhausted([looping(restarts)]) is None
    assert patience.exhausted([looping(CRASHES)]) == looping(CRASHES)


def test_earlier_restarts_of_a_running_pod_do_not_count() -> None:
    """Each restart of a node adds one to each of its containers."""
    patience = Patience()
    assert patience.exhausted([state("NotReady", restarts=9)]) is None
    assert patience.exhausted([looping(9 + CRASHES - 1)]) is None
    assert patience.exhausted([looping(9 + CRASHES)])


def test_pod_in_a_crash_loop_gets_one_more_restart() -> None:
    patience = Patience()
    assert patience.exhausted([looping(9)]) is None
    assert patience.exhausted([looping(10)]) == looping(10)


def test_all_crashes_of_a_pod_created_during_the_wait_count() -> None:
    patience = Patience()
    patience.exhausted([])
    assert patience.exhausted([looping(CRASHES)])
