"""States of served models; most case files were recorded on a node."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube.inference import Parts, Serving, serving

import tests

REVISION = "deployment.kubernetes.io/revision"
FOLDER = tests.CASES / "models"
CASES = sorted(FOLDER.glob("*.yaml"))
Case = dict[str, Any]


def load(name: str) -> Case:
    case: Case = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return case


def look(case: Case, *, seconds_later: float = 0) -> Serving:
    parts = Parts([case["service"]], case["deployments"], case["sets"], case["pods"])
    now = datetime.fromisoformat(case["now"]) + timedelta(seconds=seconds_later)
    return serving(case["service"], parts, now)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_state_of_a_model_is_as_in_the_case(file: Path) -> None:
    case = load(file.stem)
    found = look(case)
    seen = {key: getattr(found, key) for key in ("state", "ready", "wanted", "versions", "reason")}
    assert seen == case["expected"]


def test_cases_are_found() -> None:
    assert len(CASES) >= 5


def test_change_that_the_controller_has_not_seen_is_not_ready() -> None:
    for change in ("digest", "version", "replicas"):
        case = load("ready")
        if change == "digest":
            case["service"]["metadata"]["annotations"]["mlops-platform/digest"] = "another"
        elif change == "version":
            case["service"]["spec"]["predictor"]["model"]["storageUri"] = "mlflow://iris/7"
        else:
            case["service"]["spec"]["predictor"]["minReplicas"] = 9
        assert look(case).state != "ready", change


def test_deleted_model_is_stopping() -> None:
    for name in ("ready", "no-runtime"):
        case = load(name)
        case["service"]["metadata"]["deletionTimestamp"] = case["now"]
        case["service"].pop("status", None)
        assert look(case).state == "stopping", name


def test_model_without_deployment_is_starting_before_it_fails() -> None:
    case = load("unknown-scheme")
    case["service"]["metadata"]["creationTimestamp"] = case["now"]
    assert look(case).state == "starting"
    assert look(case, seconds_later=100).state == "failed"


def test_reason_of_the_controller_is_shown_for_a_model_that_it_cannot_make() -> None:
    case = load("unknown-scheme")
    message = "fails to reconcile predictor: Deployment is invalid"
    condition = {"type": "Ready", "status": "False", "reason": "ReconcileFailed", "message": message}
    case["service"]["status"] = {"conditions": [condition]}
    found = look(case, seconds_later=100)
    assert (found.state, found.reason) == ("failed", "Deployment is invalid")


def test_new_canary_of_an_old_model_is_starting() -> None:
    case = load("ready")
    model = {"storageUri": "mlflow://iris/2"}
    case["service"]["spec"]["canary"] = [{"predictor": {"name": "v2", "model": model}, "trafficPercent": 10}]
    parts = Parts([case["service"]], case["deployments"], case["sets"], case["pods"])
    now = datetime.fromisoformat(case["now"]) + timedelta(hours=1)
    assert serving(case["service"], parts, now, "v2").state == "starting"


@pytest.mark.parametrize(
    ("why", "state"), [("violates PodSecurity", "failed"), ("exceeded quota: project", "updating")]
)
def test_model_whose_pods_are_never_allowed_has_failed(why: str, state: str) -> None:
    case = load("updating-old-version-serves")
    (deployment,), sets, pods = case["deployments"], case["sets"], case["pods"]
    newest = max(sets, key=lambda each: int(each["metadata"]["annotations"][REVISION]))["metadata"]["uid"]
    case["pods"] = [p for p in pods if newest not in [o["uid"] for o in p["metadata"]["ownerReferences"]]]
    failure = {"type": "ReplicaFailure", "status": "True", "message": f"pods is forbidden: {why}"}
    deployment["status"]["conditions"] = [failure]
    found = look(case)
    assert (found.state, found.reason) == (state, failure["message"])


@pytest.mark.parametrize(
    ("share", "least", "ready"),
    [({"minReplicas": 2}, 3, True), ({"minReplicas": 2}, 9, False), ({}, 2, True)],
)
def test_pods_of_canaries_are_not_awaited_from_the_stable_predictor(
    share: dict[str, int], least: int, ready: bool
) -> None:
    """Without `minReplicas`, a canary has its share, rounded up."""
    case = load("ready")
    case["service"]["spec"]["predictor"]["minReplicas"] = least
    case["service"]["spec"]["canary"] = [{"predictor": {"name": "v2", **share}, "trafficPercent": 10}]
    assert (look(case).state == "ready") is ready


def failing_pod(case: Case, **terminated: Any) -> Case:
    """The case with the first pod's server ended."""
    changed = deepcopy(case)
    changed["pods"] = [p for p in changed["pods"] if "deletionTimestamp" not in p["metadata"]]
    pod = changed["pods"][0]
    for each in pod["status"]["conditions"]:
        if each["type"] in ("Ready", "ContainersReady"):
            each["status"] = "False"
    (container,) = pod["status"]["containerStatuses"]
    container.update(ready=False, restartCount=2, state={"terminated": terminated}, lastState={})
    return changed


def test_model_killed_for_its_memory_says_so() -> None:
    case = failing_pod(load("ready"), exitCode=137, reason="OOMKilled")
    case["pods"] = case["pods"][:1]
    case["pods"][0]["status"]["containerStatuses"][0]["resources"] = {"limits": {"memory": "1Gi"}}
    found = look(case)
    assert (found.state, found.reason) == ("failed", "it needs more memory than its limit, 1Gi")
    assert found.failure and (found.failure.how, found.failure.tries) == ("OOMKilled", 3)


def test_one_failing_pod_of_several_is_no_failed_model() -> None:
    found = look(
        failing_pod(load("ready"), exitCode=1, reason="Error", message="Traceback:\n  x\nKeyError: 'a'\n")
    )
    assert (found.state, found.ready, found.reason) == ("starting", 1, "KeyError: 'a'")


def test_evicted_pod_does_not_count() -> None:
    case = load("ready")
    gone = deepcopy(case["pods"][0])
    gone["metadata"]["name"] += "-evicted"
    gone["status"] = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    case["pods"].insert(0, gone)
    assert look(case).state == "ready"


def test_pods_that_the_quota_rejects_are_named() -> None:
    case = load("updating-old-version-serves")
    (deployment,) = case["deployments"]
    case["pods"] = [
        p for p in case["pods"] if all(c["ready"] for c in p["status"].get("containerStatuses", []))
    ]
    message = (
        'pods "iris-predictor-1" is forbidden: exceeded quota: project, requested: requests.cpu=2, '
        "used: requests.cpu=3500m, limited: requests.cpu=4"
    )
    deployment["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": message}]
    found = look(case)
    assert (found.state, found.reason) == (
        "updating",
        "not enough quota: requests.cpu: 2 more, 3500m of 4 used",
    )
    assert [state.reason for state in found.states] == ["FailedCreate"]
