"""The newest version of an object wins, in every sequence of lists, watch events and single reads."""

from __future__ import annotations

import pytest
from mlops_platform.clusters.host.firewall.cache import Cache
from mlops_platform.clusters.host.firewall.model import Pod

from tests.unit.clusters.host.firewall.objects import a_pod


@pytest.fixture
def pods() -> Cache[Pod]:
    cache = Cache(Pod.of)
    assert cache.replace([a_pod("1", 3)], 5)
    return cache


def _known(cache: Cache[Pod]) -> set[str]:
    return {pod.uid for pod in cache.objects()}


def test_first_list_is_a_change_even_if_it_is_empty() -> None:
    cache = Cache(Pod.of)
    assert not cache.listed
    assert cache.replace([], 5) and cache.listed
    assert not cache.replace([], 6)


def test_change_of_unused_field_is_no_change(pods: Cache[Pod]) -> None:
    again = a_pod("1", 6)
    again["status"]["conditions"] = [{"type": "Ready"}]
    assert not pods.event("MODIFIED", again)
    assert pods.event("MODIFIED", a_pod("1", 7, labels={"app": "other"}))


def test_single_read_counts_once_and_outlives_an_older_list(pods: Cache[Pod]) -> None:
    assert pods.offer(a_pod("2", 9))
    assert not pods.offer(a_pod("2", 9))
    assert not pods.replace([a_pod("1", 3)], 8)
    assert _known(pods) == {"1", "2"}
    assert pods.replace([a_pod("1", 3)], 10), "the pod is not in the newer list"
    assert _known(pods) == {"1"}


def test_single_read_after_delete_event_restores_nothing(pods: Cache[Pod]) -> None:
    assert pods.event("ADDED", a_pod("2", 6))
    assert pods.event("DELETED", a_pod("2", 8))
    assert not pods.offer(a_pod("2", 6))
    assert _known(pods) == {"1"}


def test_event_older_than_single_read_changes_nothing(pods: Cache[Pod]) -> None:
    assert pods.offer(a_pod("1", 9, labels={"app": "new"}))
    assert not pods.event("MODIFIED", a_pod("1", 7, labels={"app": "old"}))
    assert [pod.labels for pod in pods.objects()] == [{"app": "new"}]


def test_host_network_pod_and_ended_pod_are_known_but_not_listed(pods: Cache[Pod]) -> None:
    pods.event("ADDED", a_pod("2", 6, hostNetwork=True))
    ended = a_pod("3", 7)
    ended["status"]["phase"] = "Succeeded"
    pods.event("ADDED", ended)
    assert "2" in pods and "3" in pods
    assert _known(pods) == {"1"}
