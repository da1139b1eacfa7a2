"""Routes of InferenceServices and Services (tests/cases/model-routes), and their configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests import ROOT

CASES = yaml.safe_load((ROOT / "tests/cases/model-routes/routes.yaml").read_text())
GOLDEN = ROOT / "tests/golden/model-routes"
SHOWN = ["a model with its predictor", "a canary", "a model without a Service"]


def model(given: Mapping[str, Any]) -> dict[str, Any]:
    """An InferenceService as the API server returns it."""
    meta: dict[str, Any] = {
        "namespace": given.get("namespace", "churn"),
        "name": given["name"],
        "uid": given["uid"],
    }
    if "traffic" in given:
        meta["annotations"] = {"mlops-platform/traffic": given["traffic"]}
    if given.get("deleted"):
        meta["deletionTimestamp"] = "2026-11-29T00:00:00Z"
    spec: dict[str, Any] = {"predictor": predictor(given.get("predictor", ""), given.get("source"))}
    if given.get("transformer"):
        spec["transformer"] = {"containers": []}
    canaries = given.get("canary", [])
    if canaries:
        spec["canary"] = [
            {"trafficPercent": c["percent"], "predictor": predictor(c["name"], c.get("source"))}
            for c in canaries
        ]
    return {"metadata": meta, "spec": spec}


def predictor(name: str, source: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"model": {"storageUri": source} if source else {}}
    return {**found, **({"name": name} if name else {})}


def service(given: Mapping[str, Any]) -> dict[str, Any]:
    owner = {"kind": given.get("kind", "InferenceService"), "uid": given["owner"], "controller": True}
    meta = {"namespace": "churn", "name": given["name"], "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"clusterIP": given["ip"], "ports": [{"port": 80, "targetPort": 8080}]}}


def routes(scripts: SimpleNamespace, case: Mapping[str, Any]) -> Any:
    models = [found for each in case["models"] if (found := scripts.routes.model_of(model(each)))]
    services = [found for each in case["services"] if (found := scripts.routes.service_of(service(each)))]
    assert [m.problem for m in models if m.problem] == ([case["problem"]] if "problem" in case else [])
    return scripts.routes.routes_of(models, services)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_routes_match_the_case(scripts: SimpleNamespace, case: Mapping[str, Any]) -> None:
    seen = {
        f"{r.project}/{r.model}": [[b.predictor, b.address, b.weight, b.source] for b in r.backends]
        for r in routes(scripts, case)
    }
    assert seen == case["routes"]


@pytest.mark.parametrize("name", SHOWN)
def test_configuration_matches_the_golden_file(
    scripts: SimpleNamespace, name: str, update_golden: bool
) -> None:
    (case,) = [case for case in CASES if case["name"] == name]
    files = scripts.render.files(routes(scripts, case))
    seen = "".join(f"# {file}\n{text}" for file, text in sorted(files.items()))
    golden = GOLDEN / f"{name.replace(' ', '-')}.conf"
    if update_golden:
        golden.write_text(seen)
    assert seen == golden.read_text()


def test_list_of_a_project_names_its_models_only(scripts: SimpleNamespace) -> None:
    made = [
        scripts.routes.Route(project, model, (scripts.routes.Backend("stable", "10.96.0.1:80", 1, ""),))
        for project, model in (("a", "one"), ("a", "two"), ("b", "one"))
    ]
    files = scripts.render.files(made)
    assert [m["name"] for m in json.loads(files["a.json"])["models"]] == ["one", "two"]
    assert json.loads(files["b.json"])["models"] == [
        {"name": "one", "predictors": [{"name": "stable", "percent": 100, "source": ""}]}
    ]


def test_equal_routes_have_one_digest(scripts: SimpleNamespace) -> None:
    one, two = ([scripts.routes.Route("a", name, ())] for name in ("one", "two"))
    assert scripts.render.files(one) == scripts.render.files(list(one))
    assert scripts.render.files(one)["ready.conf"] != scripts.render.files(two)["ready.conf"]
