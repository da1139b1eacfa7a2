"""Admission accepts only a pod that the API server knows, and reads the policies of its namespace first."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import pytest
from mlops_platform.clusters.host.api import Api
from mlops_platform.clusters.host.firewall.admission import Admission, NewPod
from mlops_platform.clusters.host.firewall.state import NAMESPACES, PODS, POLICIES, State

from tests.unit.clusters.host.firewall.objects import a_namespace, a_pod, a_policy

_POD = "/api/v1/namespaces/app/pods/pod-1"
_POLICIES = "/apis/networking.k8s.io/v1/namespaces/app/networkpolicies"


class Answers:
    """A stand-in for the API client with fixed answers."""

    def __init__(self, found: Mapping[str, dict[str, Any]]) -> None:
        self._found = found

    def get(self, path: str) -> dict[str, Any] | None:
        return self._found.get(path)


class Immediate(State):
    """A state whose generations are in force at once; the loop that loads rules is not under test here."""

    def in_force(self, generation: int, seconds: float) -> str:
        self.applied(generation)
        return super().in_force(generation, seconds)


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = Immediate(tmp_path / "claims.json")
    state.listed(NAMESPACES, [a_namespace()], 5)
    state.listed(POLICIES, [], 5)
    state.listed(PODS, [], 5)
    return state


def _admit(state: State, found: Mapping[str, dict[str, Any]], uid: str = "1") -> str:
    admission = Admission(cast(Api, Answers(found)), state)
    return admission.admit(NewPod("app", "pod-1", uid, IPv4Address("10.77.128.2")))


def test_admission_reads_what_no_watch_has_reported_yet(state: State) -> None:
    found = {_POD: a_pod("1", 8), _POLICIES: {"items": [a_policy("deny", 7)]}}
    assert _admit(state, found) == ""
    snapshot = state.snapshot()
    assert [pod.uid for pod in snapshot.pods] == ["1"]
    assert [policy.name for policy in snapshot.policies] == ["deny"]
    assert snapshot.addresses == {"1": IPv4Address("10.77.128.2")}


@pytest.mark.parametrize("found", [{}, {_POD: a_pod("another", 8)}])
def test_admission_rejects_pod_that_api_server_does_not_know(
    state: State, found: Mapping[str, dict[str, Any]]
) -> None:
    assert _admit(state, found) == "the API server has no such pod"
    assert state.snapshot().addresses == {}
