"""The golden path, three times in a row, while controllers are killed one after another."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import cycle
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.forward import forward
from mlops_platform.adapters.kube.namespaces import PASSING

from tests.e2e.platform import Platform
from tests.e2e.training.jobs import Jobs

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

RUNS, MOST_KILLS = 3, 200
CONTROLLERS = (
    ("trainer", "trainer-controller-manager"),
    ("airflow", "airflow-scheduler"),
    ("jobset", "jobset-controller"),
    ("kserve", "kserve-controller-manager"),
    ("model-routes", "model-routes"),
)
SEARCH = "/api/2.0/mlflow/model-versions/search"


def versions(kube: Kube, address: str) -> list[str]:
    """The versions of models in the project of the smoke test; none while the project is made or removed."""
    found = kube.metadata("v1", "Namespace", labels=f"{PASSING}=smoke-golden-path")
    for project in (o["metadata"]["name"] for o in found if "deletionTimestamp" not in o["metadata"]):
        try:
            token = kube.token(project, "trainer", "mlflow")
            request = Request(f"http://{address}{SEARCH}", headers={"Authorization": f"Bearer {token}"})
            with urlopen(request, timeout=30) as answer:
                return [each["version"] for each in json.load(answer).get("model_versions", [])]
        except (KubeError, HTTPError) as error:
            if (error.status or 0) not in (401, 403, 404):
                raise
    return []


def run_once(platform: Platform, kube: Kube, address: str, victims: Iterator[tuple[str, str]]) -> None:
    """Kill one controller after another until the smoke test ends, and check what is left of it."""
    killed, seen = list[str](), set[str]()
    smoke = platform.start("smoke", "golden-path")
    try:
        while smoke.poll() is None:
            namespace, deployment = next(victims)
            Jobs(kube, "").restart(namespace, deployment)
            killed.append(deployment)
            assert len(killed) <= MOST_KILLS, "it does not end"
            seen.update(versions(kube, address))
            try:
                smoke.wait(5)
            except subprocess.TimeoutExpired:
                continue
    finally:
        smoke.terminate()
        out, err = smoke.communicate()
    assert smoke.returncode == 0, f"killed {killed}:\n{out}\n{err}"
    assert set(killed) == {deployment for _, deployment in CONTROLLERS}, killed
    assert seen == {"1"}, f"killed {killed}"


def test_golden_path_succeeds_while_controllers_are_killed(platform: Platform) -> None:
    """The smoke test itself checks that a second run with the same inputs changes nothing."""
    kube, victims = Kube(platform.state / "kubeconfig"), cycle(CONTROLLERS)
    with forward(kube, "mlflow", "service/mlflow", 5000) as address:
        for _ in range(RUNS):
            run_once(platform, kube, str(address), victims)
