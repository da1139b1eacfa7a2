"""The client on a real API server: requests and errors."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube, KubeError

from tests.integration.apiserver import ApiServer, running

pytestmark = pytest.mark.integration


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def test_applied_objects_can_be_listed_and_deleted(kube: Kube, namespace: str) -> None:
    kube.apply(config_map(namespace, "one", a="1"), config_map(namespace, "two", a="2"))
    found = kube.get("v1", "ConfigMap", "one", namespace)
    assert found and found["data"] == {"a": "1"}
    listed = kube.list("v1", "ConfigMap", namespace)
    assert {item["metadata"]["name"]: item["kind"] for item in listed} == {
        "one": "ConfigMap",
        "two": "ConfigMap",
    }
    assert kube.list("v1", "ConfigMap", namespace, fields="metadata.name=two")[0]["data"] == {"a": "2"}
    assert kube.delete("v1", "ConfigMap", "one", namespace)
    assert not kube.delete("v1", "ConfigMap", "one", namespace)
    assert kube.get("v1", "ConfigMap", "one", namespace) is None


def test_apply_takes_over_its_fields_and_leaves_others(kube: Kube, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/shared"
    theirs = config_map(namespace, "shared", ours="old", theirs="kept")
    kube.raw("PATCH", f"{path}?fieldManager=other", theirs, content_type="application/apply-patch+yaml")
    ours = config_map(namespace, "shared", ours="new")
    with pytest.raises(KubeError) as refused:
        kube.raw("PATCH", f"{path}?fieldManager=me", ours, content_type="application/apply-patch+yaml")
    assert refused.value.status == 409
    assert 'conflict with "other"' in refused.value.why
    kube.apply(ours)
    found = kube.get("v1", "ConfigMap", "shared", namespace)
    assert found and found["data"] == {"ours": "new", "theirs": "kept"}


def test_field_missing_in_the_next_apply_is_removed(kube: Kube, namespace: str) -> None:
    kube.apply(config_map(namespace, "shrinks", a="1", b="2"))
    kube.apply(config_map(namespace, "shrinks", a="1"))
    found = kube.get("v1", "ConfigMap", "shrinks", namespace)
    assert found and found["data"] == {"a": "1"}


def test_create_of_an_existing_object_is_a_409(kube: Kube, namespace: str) -> None:
    assert kube.create(config_map(namespace, "once"))["metadata"]["uid"]
    with pytest.raises(KubeError) as refused:
        kube.create(config_map(namespace, "once"))
    assert (refused.value.status, refused.value.transient) == (409, False)
    assert refused.value.why == 'configmaps "once" already exists'


def test_rejected_object_names_field_and_request(kube: Kube, namespace: str) -> None:
    with pytest.raises(KubeError) as refused:
        kube.apply(config_map(namespace, "bad", **{"not a key": "x"}))
    error = refused.value
    assert error.status == 422
    assert error.what == f"PATCH /api/v1/namespaces/{namespace}/configmaps/bad: 422 Invalid"
    assert "data[not a key]: Invalid value" in error.why


def test_apply_in_a_missing_namespace_names_it(kube: Kube) -> None:
    with pytest.raises(KubeError) as refused:
        kube.apply(config_map("nowhere", "x"))
    assert refused.value.status == 404
    assert refused.value.why == 'namespaces "nowhere" not found'


def test_definition_and_its_objects_are_applied_together(kube: Kube) -> None:
    kind = f"Thing{secrets.token_hex(3)}".lower().capitalize()
    definition, thing = custom(kind)
    assert kube.get("example.test/v1", kind, "first") is None  # an unknown kind is not an error in get
    with pytest.raises(KubeError, match=f"knows no {kind}"):
        kube.list("example.test/v1", kind)
    kube.apply(definition, thing)
    found = kube.get("example.test/v1", kind, "first")
    assert found and found["spec"] == {"size": 3}
    assert kube.delete("example.test/v1", kind, "first")


def custom(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.test"},
        "spec": {
            "group": "example.test",
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    thing = {
        "apiVersion": "example.test/v1",
        "kind": kind,
        "metadata": {"name": "first"},
        "spec": {"size": 3},
    }
    return definition, thing


def test_metadata_has_labels_without_contents(kube: Kube, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "held", "namespace": namespace, "labels": {"owner": "test", "n": "1"}},
        "stringData": {"password": "not for everybody"},
    }
    kube.apply(secret)
    found = kube.metadata("v1", "Secret", namespace, labels="owner=test")
    assert [item["metadata"]["labels"]["n"] for item in found] == ["1"]
    assert "data" not in found[0]
    assert kube.metadata("v1", "Secret", namespace, labels="owner=unknown") == []


def test_long_list_is_complete(kube: Kube, namespace: str) -> None:
    with ThreadPoolExecutor(8) as pool:  # many threads use one client
        list(pool.map(lambda n: kube.create(config_map(namespace, f"n{n}")), range(620)))
    assert len(kube.list("v1", "ConfigMap", namespace)) == 620


def test_events_are_sorted_and_filtered_by_object(kube: Kube, namespace: str) -> None:
    for second, about in ((3, "b"), (1, "a"), (2, "a")):
        kube.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"e{second}", "namespace": namespace},
                "involvedObject": {"kind": "Pod", "name": about, "namespace": namespace},
                "lastTimestamp": f"2026-01-01T00:00:0{second}Z",
                "message": str(second),
            }
        )
    assert [e["message"] for e in kube.events(namespace)] == ["1", "2", "3"]
    assert [e["message"] for e in kube.events(namespace, about="a")] == ["1", "2"]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ApiServer]:
    with running(tmp_path) as server:
        yield server


def test_stopped_server_is_transient_and_the_client_reconnects(own_server: ApiServer) -> None:
    kube = Kube(own_server.kubeconfig)
    assert kube.get("v1", "Namespace", "default")
    own_server.stop()
    with pytest.raises(KubeError) as gone:
        kube.get("v1", "Namespace", "default")
    error = gone.value
    assert (error.status, error.transient) == (0, True)
    assert error.what == f"the API server at https://127.0.0.1:{own_server.port} does not answer"
    assert "Connection refused" in error.why
    assert error.command == f"kubectl --kubeconfig {own_server.kubeconfig} get --raw /readyz"
    own_server.start()
    assert kube.get("v1", "Namespace", "default")


def test_rejects_a_server_of_another_authority(
    apiserver: ApiServer, own_server: ApiServer, tmp_path: Path
) -> None:
    mixed = own_server.kubeconfig.read_text().replace(f":{own_server.port}", f":{apiserver.port}")
    (tmp_path / "mixed").write_text(mixed)
    with pytest.raises(KubeError) as refused:
        Kube(tmp_path / "mixed").get("v1", "Namespace", "default")
    assert "certificate verify failed" in refused.value.why
