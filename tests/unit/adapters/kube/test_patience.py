"""How long a pod may be in a bad state before the wait for it ends."""

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
def test_a_state_that_does_not_heal_may_last_so_long(reason: str, seconds: float) -> None:
    clock = Clock()
    patience = Patience(clock)
    if seconds:
        assert patience.exhausted([state(reason)]) is None
        clock.now += seconds - 1
        assert patience.exhausted([state(reason)]) is None
        clock.now += 1
    assert patience.exhausted([state(reason)]) == state(reason)


@pytest.mark.parametrize("reason", ["ContainerCreating", "Unschedulable", "NotReady", "Terminating"])
def test_a_state_that_may_heal_may_last(reason: str) -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state(reason)])
    clock.now += 3600
    assert patience.exhausted([state(reason)]) is None


def test_the_two_words_for_a_failed_pull_are_one_state() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("ErrImagePull")])
    clock.now += 60
    patience.exhausted([state("ImagePullBackOff")])
    clock.now += 60
    assert patience.exhausted([state("ErrImagePull")])


def test_a_state_that_went_away_and_came_back_begins_anew() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("FailedCreate")])
    clock.now += 29
    patience.exhausted([])
    clock.now += 2
    assert patience.exhausted([state("FailedCreate")]) is None


def test_a_replaced_pod_begins_anew() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.exhausted([state("RunContainerError")])
    clock.now += 31
    assert patience.exhausted([state("RunContainerError", uid="u2")]) is None


def looping(restarts: int) -> State:
    return state("CrashLoopBackOff", restarts=restarts)


def test_a_pod_whose_crashes_are_only_seen_as_ended_is_crashing_too() -> None:
    """As a kubelet 1.35 reports it between two tries."""
    patience = Patience()
    assert patience.exhausted([state("Ended")]) is None
    assert patience.exhausted([state("NotReady", restarts=2)]) is None
    assert patience.exhausted([state("Ended", restarts=2)]) is None
    assert patience.exhausted([state("Ended", restarts=3)])


def test_a_pod_may_crash_so_often() -> None:
    patience = Patience()
    assert patience.exhausted([state("ContainerCreating")]) is None
    for restarts in range(1, CRASHES):
        assert patience.exhausted([looping(restarts)]) is None
    assert patience.exhausted([looping(CRASHES)]) == looping(CRASHES)


def test_restarts_from_before_do_not_count_for_a_pod_that_was_running() -> None:
    """Each restart of a node adds one to every container of it."""
    patience = Patience()
    assert patience.exhausted([state("NotReady", restarts=9)]) is None
    assert patience.exhausted([looping(9 + CRASHES - 1)]) is None
    assert patience.exhausted([looping(9 + CRASHES)])


def test_a_pod_that_was_looping_before_gets_one_more_try() -> None:
    patience = Patience()
    assert patience.exhausted([looping(9)]) is None
    assert patience.exhausted([looping(10)]) == looping(10)


def test_a_pod_that_comes_while_we_watch_is_judged_by_all_its_crashes() -> None:
    patience = Patience()
    patience.exhausted([])
    assert patience.exhausted([looping(CRASHES)])
