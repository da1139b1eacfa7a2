"""Kinds of API groups, from discovery answers."""

from __future__ import annotations

from typing import Any

from mlops_platform.adapters.kube.resources import Resources, Served


def resource(name: str, kind: str, *, namespaced: bool = True) -> dict[str, Any]:
    return {"name": name, "kind": kind, "namespaced": namespaced}


ANSWERS: dict[str, Any] = {
    "/apis/serving.example.com": {
        "versions": [
            {"groupVersion": "serving.example.com/v1alpha1"},
            {"groupVersion": "serving.example.com/v1beta1"},
        ],
        "preferredVersion": {"groupVersion": "serving.example.com/v1beta1"},
    },
    "/apis/serving.example.com/v1beta1": {
        "resources": [resource("models", "Model"), resource("models/status", "Model")]
    },
    "/apis/serving.example.com/v1alpha1": {
        "resources": [
            resource("models", "Model"),
            resource("graphs", "Graph"),
            resource("runtimes", "Runtime", namespaced=False),
        ]
    },
    "/api/v1": {"resources": [resource("pods", "Pod"), resource("nodes", "Node", namespaced=False)]},
}


def test_kinds_of_all_versions_are_found_each_in_the_preferred_one() -> None:
    assert Resources(ANSWERS.get).served("serving.example.com") == {
        "models": Served("serving.example.com/v1beta1", "Model"),
        "graphs": Served("serving.example.com/v1alpha1", "Graph"),
    }


def test_core_group_has_one_version() -> None:
    assert Resources(ANSWERS.get).served("") == {"pods": Served("v1", "Pod")}


def test_group_that_is_not_served_has_no_kinds() -> None:
    assert Resources(ANSWERS.get).served("gone.example.com") == {}
