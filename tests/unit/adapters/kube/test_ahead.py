"""Reads from lists of whole kinds, against an HTTPS server on loopback that counts requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mlops_platform.adapters.kube import Kube, ahead
from mlops_platform.adapters.kube.ahead import ReadAhead

from tests.fakes.kubeapi import FakeApi, Seen, fake_api
from tests.unit.adapters.kube.test_connection import write

APP, HELM = {"app": "one"}, {"owner": "helm"}
SECRETS = [("one", "a", APP), ("one", "b", {}), ("two", "a", APP), ("two", "h", HELM)]


def each(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}}


def answer(seen: Seen) -> tuple[int, Any]:
    """The Secrets above, and one more that no list has."""
    url = urlsplit(seen.path)
    if url.path == "/api/v1/namespaces/one/secrets/new":
        return 200, each("one", "new", {})
    if not url.path.endswith("s"):
        return 404, {"message": "not found"}
    helm = parse_qs(url.query).get("labelSelector") != ["owner!=helm"]
    items = [each(*it) for it in SECRETS if helm or it[2] != HELM]
    return 200, {"items": items, "metadata": {}}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with fake_api(tmp_path) as server:
        server.answer = answer
        yield server


@pytest.fixture
def kube(tmp_path: Path, api: FakeApi) -> ReadAhead:
    return ReadAhead(write(tmp_path, api))


def names(found: list[dict[str, Any]]) -> list[str]:
    return [f"{it['metadata']['namespace']}/{it['metadata']['name']}" for it in found]


def test_objects_of_a_kind_are_one_request_for_all_threads(kube: ReadAhead, api: FakeApi) -> None:
    with ThreadPoolExecutor(8) as pool:
        wanted = [("a", "one"), ("b", "one"), ("a", "two")] * 8
        found = list(pool.map(lambda it: kube.get("v1", "Secret", *it), wanted))
    assert [it and it["kind"] for it in found] == ["Secret"] * 24
    assert len(api.seen) == 1


def test_object_outside_of_the_list_is_asked_for_once(kube: ReadAhead, api: FakeApi) -> None:
    for _ in range(3):
        found = kube.get("v1", "Secret", "new", "one")
        assert found and found["metadata"]["name"] == "new"
        assert kube.get("v1", "ConfigMap", "none", "one") is None
    assert len(api.seen) == 3


@pytest.mark.parametrize(
    ("namespace", "labels", "found"),
    [
        ("", "", ["one/a", "one/b", "two/a", "two/h"]),
        ("one", "", ["one/a", "one/b"]),
        ("", "app=one", ["one/a", "two/a"]),
        ("two", "app=one", ["two/a"]),
        ("", "app=two", []),
        ("", "owner", ["two/h"]),
        ("", "!owner,!app", ["one/b"]),
    ],
)
def test_selectors_select_as_the_api_server_does(
    kube: ReadAhead, api: FakeApi, namespace: str, labels: str, found: list[str]
) -> None:
    assert names(kube.list("apps/v1", "Deployment", namespace, labels=labels)) == found
    assert names(kube.metadata("v1", "Secret", namespace, labels=labels)) == found
    assert names(kube.metadata("v1", "Secret")) == names(kube.list("apps/v1", "Deployment"))
    assert len(api.seen) == 2


def test_helm_records_are_in_no_list_of_contents(kube: ReadAhead, api: FakeApi) -> None:
    kube.get("v1", "Secret", "a", "one")
    assert "owner%21%3Dhelm" in api.seen[0].path
    kube.list("v1", "Secret", labels="owner=helm")
    assert "labelSelector=owner%3Dhelm" in api.seen[1].path


def test_every_read_after_the_first_change_asks_the_server(kube: ReadAhead, api: FakeApi) -> None:
    kube.get("v1", "Secret", "a", "one")
    kube.changes()
    for _ in range(2):
        kube.get("v1", "Secret", "new", "one")
        kube.list("apps/v1", "Deployment")
        kube.metadata("v1", "Secret")
    assert len(api.seen) == 7


def test_own_write_is_a_change(kube: ReadAhead, api: FakeApi) -> None:
    kube.get("v1", "Secret", "a", "one")
    kube.delete("v1", "Secret", "a", "one")
    kube.list("apps/v1", "Deployment")
    kube.list("apps/v1", "Deployment")
    assert [each.method for each in api.seen] == ["GET", "DELETE", "GET", "GET"]


def test_list_is_read_again_after_some_seconds(
    kube: ReadAhead, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.get("v1", "Secret", "a", "one")
    monkeypatch.setattr(ahead, "_SECONDS", 0.0)
    kube.get("v1", "Secret", "a", "one")
    assert len(api.seen) == 2


def test_plain_client_asks_for_each_object(tmp_path: Path, api: FakeApi) -> None:
    kube = Kube(write(tmp_path, api))
    kube.changes()
    for _ in range(2):
        kube.get("v1", "Secret", "new", "one")
    assert len(api.seen) == 2
