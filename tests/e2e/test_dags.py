"""DAGs of two projects: a task works in its project, and reaches nothing of another or of the platform."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mlops_platform.adapters.wait import Pending, wait_until

from tests.e2e.names import local_names
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

MINE, OTHER = "dags-mine", "dags-other"
VICTIM = """
from airflow.sdk import DAG, task

with DAG("victim", schedule="@once", start_date=None, is_paused_upon_creation=False):
    @task
    def secret():
        return "of the other project"

    secret()
"""
# What a task tries: each attack ends with an exception, or it is in the result.
ATTACKER = """
import json, os, pathlib, ssl, urllib.error, urllib.request

from airflow.sdk import BaseHook, BaseXCom, DAG, Variable, task

MINE, OTHER = "dags-mine", "dags-other"


def attempt(found, name, act):
    try:
        found[name] = f"WORKED: {act()}"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"


def token_of_other():
    paths = [*pathlib.Path("/run/secrets").rglob("*"), *pathlib.Path("/var/run/secrets").rglob("*")]
    return [str(path) for path in paths if path.is_file() and OTHER in claims(path)]


def claims(path):
    import base64

    parts = path.read_text().split(".")
    return base64.urlsafe_b64decode(parts[1] + "===").decode(errors="replace") if len(parts) == 3 else ""


def api(path):
    folder = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
    headers = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
    host = os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]
    request = urllib.request.Request(f"https://{host}{path}", headers=headers)
    trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return urllib.request.urlopen(request, timeout=10, context=trust).read().decode()


def ask(path, method="GET", body=None):
    from airflow.sdk.execution_time import task_runner  # the supervisor has the token of this task

    workload = json.loads(pathlib.Path("/run/secrets/workload/workload.json").read_text())
    server = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    headers = {"Authorization": f"Bearer {workload['token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}{path}", body, headers, method=method)
    return urllib.request.urlopen(request, timeout=10).read().decode()


with DAG("attacker", schedule="@once", is_paused_upon_creation=False):
    @task
    def own():
        paths = "/var/run/secrets/tokens/mlflow", os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
        return [json.loads(claims(pathlib.Path(path)))["sub"] for path in paths]

    @task
    def attack():
        found = {}
        files = token_of_other()
        found["token of the other"] = f"WORKED: {files}" if files else "none"
        attempt(found, "Secrets of the project", lambda: api(f"/api/v1/namespaces/{MINE}/secrets"))
        attempt(found, "pods of the other", lambda: api(f"/api/v1/namespaces/{OTHER}/pods"))
        attempt(found, "connection of the platform", lambda: BaseHook.get_connection("platform_logs"))
        attempt(found, "variable of the other", lambda: Variable.get(f"{OTHER}.key"))
        attempt(found, "variable of the platform", lambda: Variable.get("key"))
        other = {"dag_id": f"{OTHER}.victim", "run_id": "any", "task_id": "secret", "key": "return_value"}
        attempt(found, "XCom of the other", lambda: BaseXCom.set(value="forged", **other))
        attempt(found, "run of the other", lambda: ask(f"dag-runs/{OTHER}.victim/forged", "POST", b"{}"))
        attempt(found, "file of the platform", lambda: pathlib.Path("/run/secrets/database/uri").read_text())
        return found

    own() >> attack()
"""


class Airflow:
    """The REST API, as the account of machines."""

    def __init__(self, platform: Platform, url: str) -> None:
        self._url, self._verify = url, str(platform.state / "authority.crt")
        found = kubectl(
            platform, "--namespace", "airflow", "get", "secret", "airflow-machine", "--output", "json"
        )
        password = base64.b64decode(found["data"]["password"]).decode()
        body = {"username": "machine", "password": password}
        # The gateway leaves requests with this header to Airflow; others get its login page.
        headers = {"Authorization": "Bearer none"}
        self._token = self._send("POST", "/auth/token", json=body, headers=headers)["access_token"]

    def _send(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(method, f"{self._url}{path}", verify=self._verify, timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        return self._send("GET", f"/api/v2{path}", headers={"Authorization": f"Bearer {self._token}"})

    def run(self, dag: str) -> str:
        """The id of the DAG's run, once it has succeeded."""

        def ended() -> str | Pending:
            runs = self.get(f"/dags/{dag}/dagRuns")["dag_runs"]
            if not runs or runs[0]["state"] in ("queued", "running"):
                return Pending(runs[0]["state"] if runs else "no run yet")
            assert runs[0]["state"] == "success", runs[0]
            return str(runs[0]["dag_run_id"])

        return wait_until(f"run of {dag}", ended, seconds=240)

    def value(self, dag: str, run: str, task: str) -> Any:
        return self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value")["value"]

    def wait_for_log(self, dag: str, run: str, task: str) -> None:
        """A task reports its end before its pod has ended, and the log is copied and stored after that."""

        def stored() -> bool | Pending:
            text = json.dumps(self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/1"))
            return task in text or Pending(text)

        wait_until(f"log of {task}", stored, seconds=120)


def kubectl(platform: Platform, *args: str) -> Any:
    command = ["kubectl", "--kubeconfig", str(platform.state / "kubeconfig"), *args]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


@pytest.fixture(scope="module")
def projects(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two projects with a DAG each."""
    folder = tmp_path_factory.mktemp("dags")
    for name, text in ((MINE, ATTACKER), (OTHER, VICTIM)):
        (folder / name).mkdir()
        (folder / name / "dag.py").write_text(text)
        platform.ok("project", "add", name)
    try:
        for name in (OTHER, MINE):
            platform.ok("dag", "push", str(folder / name), "--project", name)
        yield folder
    finally:
        for name in (MINE, OTHER):
            platform.ok("project", "remove", name, "--force", "--yes")


def test_a_task_has_the_tokens_of_its_project_and_no_other(platform: Platform, projects: Path) -> None:
    with local_names(), platform.opened("airflow") as url:
        airflow = Airflow(platform, url)
        airflow.run(f"{OTHER}.victim")
        run = airflow.run(f"{MINE}.attacker")
        assert set(airflow.value(f"{MINE}.attacker", run, "own")) == {f"system:serviceaccount:{MINE}:airflow"}
        found = airflow.value(f"{MINE}.attacker", run, "attack")
        assert len(found) == 9
        assert [each for each in found.items() if "WORKED" in each[1]] == []
        airflow.wait_for_log(f"{MINE}.attacker", run, "attack")


def test_push_with_errors_changes_nothing(platform: Platform, projects: Path, tmp_path: Path) -> None:
    before = platform.ok("dag", "list", "--project", MINE, "--output", "json").envelope["data"]
    (tmp_path / "dag.py").write_text("from airflow.sdk import DAG\n\nimport missing_package\n")
    result = platform.run("dag", "push", str(tmp_path), "--project", MINE)
    assert result.code == 5
    assert 'File "dag.py", line 3' in result.err
    assert "missing_package" in result.err
    assert platform.ok("dag", "list", "--project", MINE, "--output", "json").envelope["data"] == before


def test_push_rejects_a_task_that_chooses_its_pod(platform: Platform, projects: Path, tmp_path: Path) -> None:
    text = VICTIM.replace("@task\n", '@task(executor_config={"pod_override": {"namespace": "airflow"}})\n')
    (tmp_path / "dag.py").write_text(text)
    result = platform.run("dag", "push", str(tmp_path), "--project", MINE)
    assert result.code == 5
    assert "executor_config" in result.err


def test_remove_deletes_the_dag_with_its_runs(platform: Platform, projects: Path) -> None:
    (projects / MINE / "second.py").write_text(VICTIM.replace('"victim"', '"second"'))
    platform.ok("dag", "push", str(projects / MINE), "--project", MINE)
    platform.ok("dag", "remove", "second", "--project", MINE)
    listed = platform.ok("dag", "list", "--project", MINE, "--output", "json").envelope["data"]["projects"]
    assert set(listed[0]["dags"]) == {f"{MINE}.attacker"}
