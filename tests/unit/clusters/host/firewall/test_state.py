"""The owner of an address, and the reports of failures to admissions that wait."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from mlops_platform.clusters.host.firewall.state import NAMESPACES, PODS, POLICIES, State

from tests.unit.clusters.host.firewall.objects import a_namespace, a_pod, a_policy

ONE, TWO = IPv4Address("10.77.128.2"), IPv4Address("10.77.128.3")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return _listed(State(tmp_path / "claims.json"), "1", "2")


def _listed(state: State, *pods: str) -> State:
    state.listed(NAMESPACES, [a_namespace()], 5)
    state.listed(POLICIES, [], 5)
    state.listed(PODS, [a_pod(uid) for uid in pods], 5)
    return state


def test_address_belongs_to_the_last_pod_that_claimed_it(state: State) -> None:
    state.claim("1", ONE)
    state.claim("2", ONE)
    assert state.snapshot().addresses == {"2": ONE}
    state.claim("1", TWO)
    assert state.snapshot().addresses == {"1": TWO, "2": ONE}


def test_restarted_agent_knows_addresses_except_of_deleted_pods(state: State, tmp_path: Path) -> None:
    state.claim("1", ONE)
    state.claim("2", TWO)
    assert _listed(State(tmp_path / "claims.json"), "2").snapshot().addresses == {"2": TWO}
    state.event(PODS, "DELETED", a_pod("1", 9))
    assert State(tmp_path / "claims.json").snapshot().addresses == {"2": TWO}


def test_no_rules_are_in_force_before_all_lists_arrived(tmp_path: Path) -> None:
    state = State(tmp_path / "claims.json")
    state.listed(PODS, [], 5)
    state.listed(POLICIES, [], 5)
    assert state.settled(0) == "waiting for the list of namespaces"
    state.listed(NAMESPACES, [], 5)
    assert state.settled(0) == "no rules are in force yet"
    state.applied(state.newest())
    assert state.settled(0) == ""


def test_failure_reaches_the_waiting_pod_at_once_and_no_later_pod(state: State) -> None:
    generation = state.claim("1", ONE)
    state.failed(state.newest(), "nft: no")
    assert state.in_force(generation, 60) == "nft: no"
    assert state.settled(0) == "nft: no"
    later = state.claim("2", TWO)
    state.applied(state.newest())
    assert state.in_force(later, 60) == state.in_force(generation, 60) == state.settled(60) == ""


def test_pod_does_not_fail_for_an_attempt_before_its_claim(state: State) -> None:
    tried = state.newest()
    generation = state.claim("1", ONE)
    state.failed(tried, "nft: no")
    assert state.in_force(generation, 0) == "nft: no", "a late answer is a failure"
    state.applied(generation)
    assert state.in_force(generation, 60) == ""


def test_failed_watch_is_reported_until_its_next_list(state: State) -> None:
    state.applied(state.newest())
    state.lost(POLICIES, "403 forbidden")
    assert state.settled(0) == "networkpolicies: 403 forbidden"
    state.listed(POLICIES, [], 6)
    assert state.settled(60) == ""


def test_only_a_waiting_pod_is_urgent(state: State) -> None:
    state.applied(state.newest())
    state.event(POLICIES, "ADDED", a_policy("p", 9))
    assert state.awaited() is False
    state.claim("1", ONE)
    assert state.awaited() is True
