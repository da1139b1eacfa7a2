"""The steps of a canary, against an API server on loopback that makes Deployments ready at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.inference import API
from mlops_platform.catalogue.projects import ModelsPart
from mlops_platform.steps.models.canary import TRAFFIC, Canary
from mlops_platform.steps.models.manifest import manifest
from mlops_platform.steps.models.options import Sizes
from mlops_platform.steps.models.registry import Resolution
from mlops_platform.steps.models.serve import Target

from tests.fakes.kubeapi import Seen, b64, fake_api

PART = ModelsPart(port="http", api="/api", uri="reg://${model}/${version}", format="reg")
SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
PLURALS = {
    f"/apis/{API}": ("inferenceservices", "InferenceService"),
    "/apis/apps/v1": ("deployments", "Deployment"),
}


class Cluster:
    """One InferenceService in memory; `said` has each change of it in a few words."""

    def __init__(self) -> None:
        made = manifest(PART, "churn", "iris", Resolution("iris", "1"), Sizes(4, 4), None)
        self.service: dict[str, Any] = json.loads(json.dumps(made))
        self.service["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-11-29T18:00:00Z"}
        self.restarts = 0  # writes for which the webhook does not answer
        self.said: list[str] = []
        self.notes: list[dict[str, str]] = []  # annotations of pods of canaries, of each object

    def answer(self, seen: Seen) -> tuple[int, Any]:
        path = urlsplit(seen.path).path
        if path in PLURALS:
            name, kind = PLURALS[path]
            return 200, {"resources": [{"name": name, "kind": kind, "namespaced": True}]}
        if path.endswith("/deployments/iris-predictor"):
            return 200, self._deployments()[0]
        if path.endswith("/inferenceservices/iris"):
            if seen.method == "PATCH" and self.restarts:
                self.restarts -= 1
                return 500, {"reason": "InternalError", "message": "failed calling webhook: refused"}
            if seen.method == "PATCH":
                self._change(json.loads(seen.body), applied="fieldManager" in seen.path)
            return 200, self.service
        lists = {"deployments": self._deployments(), "pods": self._pods(), "replicasets": []}
        return 200, {"metadata": {}, "items": lists[path.rpartition("/")[2]]}

    def _change(self, body: dict[str, Any], *, applied: bool) -> None:
        notes = self.service["metadata"]["annotations"]
        if applied:
            self.service["spec"] = body["spec"]
            notes |= body["metadata"]["annotations"]
            self.said.append(f"object {self.versions}")
            self.notes += [each["predictor"]["annotations"] for each in body["spec"].get("canary", [])]
            return
        given = body["metadata"]["annotations"][TRAFFIC]
        self.said.append(f"traffic {given or 'as in the object'}")
        if given is None:
            notes.pop(TRAFFIC, None)
        else:
            notes[TRAFFIC] = given

    @property
    def versions(self) -> str:
        """'4 x 1' or '4 x 1 + 1 x v2 10 %': pods, version, share"""
        (_, stable, pods), *others = self._predictors()
        parts = [f"{pods} x {stable.rpartition('/')[2]}"]
        for (*_, count), each in zip(others, self.service["spec"].get("canary", []), strict=True):
            parts.append(f"{count} x {each['predictor']['name']} {each['trafficPercent']} %")
        return " + ".join(parts)

    def shares(self) -> Mapping[str, int]:
        """What the component that routes does: the annotation counts more than the object."""
        spec, note = self.service["spec"], self.service["metadata"]["annotations"].get(TRAFFIC, "")
        shares = {c["predictor"]["name"]: c["trafficPercent"] for c in spec.get("canary", [])}
        for name, _, percent in (each.partition("=") for each in note.split(",") if each):
            if name in shares:
                shares[name] = int(percent)
        return {"stable": 100 - sum(shares.values()), **shares}

    def _predictors(self) -> Iterator[tuple[str, str, int]]:
        """Name, model and pods of each Deployment. As in KServe, canaries take pods of the first."""
        spec = self.service["spec"]
        canaries = [each["predictor"] for each in spec.get("canary", [])]
        pods = spec["predictor"]["minReplicas"] - sum(each["minReplicas"] for each in canaries)
        yield "iris-predictor", spec["predictor"]["model"]["storageUri"], pods
        for each in canaries:
            yield f"iris-{each['name']}-predictor", each["model"]["storageUri"], each["minReplicas"]

    def _deployments(self) -> list[dict[str, Any]]:
        notes = {k: v for k, v in self.service["metadata"]["annotations"].items() if k != TRAFFIC}
        canaries = [each["predictor"]["annotations"] for each in self.service["spec"].get("canary", [])]
        return [
            {
                "metadata": {"name": name, "uid": name, "generation": 1},
                "spec": {
                    "replicas": pods,
                    "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"annotations": {**notes, **own, SOURCE: uri}}},
                },
                "status": {"observedGeneration": 1},
            }
            for (name, uri, pods), own in zip(self._predictors(), [{}, *canaries], strict=True)
        ]

    def _pods(self) -> list[dict[str, Any]]:
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return [
            {
                "metadata": {"name": f"{name}-{i}", "uid": f"{name}-{i}", "labels": {"app": name}},
                "status": ready,
            }
            for name, _, pods in self._predictors()
            for i in range(pods)
        ]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def kube(cluster: Cluster, tmp_path: Path) -> Iterator[Kube]:
    with fake_api(tmp_path) as api:
        api.answer = cluster.answer
        described = {"server": api.url, "certificate-authority-data": b64(api.authority)}
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": described}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        yield Kube(tmp_path / "kubeconfig")


def canary(kube: Kube, cluster: Cluster, version: str = "2") -> Canary:
    target = Target("local", "churn", "iris", "iris", version)
    existing = json.loads(json.dumps(cluster.service))
    return Canary(kube, PART, target, existing, cluster.shares, lambda _: None)


def test_canary_gets_requests_only_when_its_pods_are_ready(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    assert cluster.said == ["traffic v2=0", "object 4 x 1 + 1 x v2 10 %", "traffic as in the object"]
    assert cluster.shares() == {"stable": 90, "v2": 10}


def test_share_of_a_canary_grows_after_its_pods_and_shrinks_before_them(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    cluster.said.clear()
    canary(kube, cluster).start(50)
    assert cluster.said == ["traffic v2=10", "object 4 x 1 + 2 x v2 50 %", "traffic as in the object"]
    cluster.said.clear()
    canary(kube, cluster).start(25)
    assert cluster.said == ["traffic v2=25", "object 4 x 1 + 1 x v2 25 %", "traffic as in the object"]


def test_promotion_changes_the_routes_before_the_pods(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    cluster.said.clear()
    canary(kube, cluster).promote()
    assert cluster.said == [
        "object 4 x 1 + 4 x v2 10 %",
        "traffic v2=100",
        "object 4 x 2 + 4 x v2 10 %",
        "traffic v2=0",
        "object 4 x 2",
        "traffic as in the object",
    ]
    notes = cluster.service["metadata"]["annotations"]
    assert notes["mlops-platform/model-version"] == "2" and TRAFFIC not in notes


def test_pods_of_a_canary_keep_their_annotations_at_the_promotion(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    canary(kube, cluster).promote()
    assert cluster.notes == [cluster.notes[0]] * 3
    assert cluster.notes[0]["mlops-platform/model-version"] == "2"


def test_restart_of_the_controller_ends_no_promotion(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    cluster.restarts = 3
    canary(kube, cluster).promote()
    assert (cluster.restarts, cluster.versions) == (0, "4 x 2")


def test_canary_that_ends_leaves_the_stable_version(kube: Kube, cluster: Cluster) -> None:
    canary(kube, cluster).start(10)
    cluster.said.clear()
    canary(kube, cluster).end(Resolution("iris", "1"))
    assert cluster.said == ["traffic v2=0", "object 4 x 1", "traffic as in the object"]
    assert cluster.shares() == {"stable": 100}
