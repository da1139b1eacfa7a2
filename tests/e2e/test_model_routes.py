"""Models of a project from outside: members call them, others do not, and they come and go without `up`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from mlflow import MlflowClient
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.forward import forward
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.progress import Silent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job

from tests.e2e.platform import Platform
from tests.e2e.serving.attacks import ATTACKS, CONTAINER, POD, REQUESTS, inference_service
from tests.e2e.serving.outside import Outside

pytestmark = pytest.mark.e2e

PROJECT, OTHER = "callers", "not-callers"
MEMBER, STRANGER = "calls", "calls-not"
API, KIND = "serving.kserve.io/v1beta1", "InferenceService"
# A model without a library: it answers with its path.
SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
_READY, _ROUTE = 120.0, 30.0


def ask(outside: Outside, model: str, user: str = MEMBER, project: str = PROJECT) -> tuple[int, str]:
    """The status and the text of the answer to a prediction; '' is a client without a login."""
    answer = outside.ask(project, model, user)
    return answer.status, answer.text


@pytest.fixture(scope="module")
def outside(platform: Platform) -> Iterator[Outside]:
    """Two machines, each a member of one project, and the gateway on this machine."""
    for name, project in ((MEMBER, PROJECT), (STRANGER, OTHER)):
        platform.ok("user", "add", name, "--machine", "--group", "data-scientists")
        platform.ok("project", "add", project, "--member", f"user/{name}:view")
    tokens = {name: platform.ok("token", name).out.strip() for name in (MEMBER, STRANGER)}
    platform.ok("trust")
    try:
        with platform.opened("model-routes") as url:
            host, _, port = url.removeprefix("https://").strip("/").partition(":")
            yield Outside(int(port), host, str(platform.state / "authority.crt"), tokens)
    finally:
        for project in (PROJECT, OTHER):
            platform.ok("project", "remove", project, "--yes", "--force")
        for name in (MEMBER, STRANGER):
            platform.ok("user", "remove", name)


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(platform.state / "kubeconfig")


@pytest.fixture(scope="module")
def served(kube: Kube, outside: Outside) -> str:
    """A model that answers."""
    serve(kube, "first")
    answers(outside, "first", 200, _READY)
    return "first"


def image_of(kube: Kube) -> str:
    routes = kube.get("apps/v1", "Deployment", "model-routes", "model-routes")
    assert routes
    return str(routes["spec"]["template"]["spec"]["containers"][0]["image"])


def serve(kube: Kube, name: str) -> None:
    """Make an InferenceService with the image of the routes, which has Python."""
    container = {
        **CONTAINER,
        "image": image_of(kube),
        "command": ["python3", "-c", SERVER],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    predictor = {**POD, "containers": [container]}
    annotations = {"serving.kserve.io/autoscalerClass": "none"}
    meta = {"name": name, "namespace": PROJECT, "annotations": annotations}
    kube.apply({"apiVersion": API, "kind": KIND, "metadata": meta, "spec": {"predictor": predictor}})


def answers(outside: Outside, model: str, status: int, seconds: float, user: str = MEMBER) -> None:
    """Wait until a model answers a user with this status: decisions are kept for some seconds."""

    def there() -> bool | Pending:
        seen = ask(outside, model, user)
        return True if seen[0] == status else Pending(str(seen))

    wait_until(f"{model} answers with {status}", there, seconds=seconds)


def test_member_gets_the_answer_of_the_model(outside: Outside, served: str) -> None:
    assert ask(outside, served) == (200, f"/v1/models/{served}:predict")


def test_caller_without_a_role_in_the_project_is_refused(outside: Outside, served: str) -> None:
    assert ask(outside, served, STRANGER)[0] == 403
    assert ask(outside, served, MEMBER, OTHER)[0] == 403
    assert ask(outside, "nothing", STRANGER)[0] == 403
    assert ask(outside, served, "")[0] == 401
    assert ask(outside, "nothing")[0] == 404


def test_removed_member_is_refused_within_seconds(platform: Platform, outside: Outside, served: str) -> None:
    platform.ok("project", "add", PROJECT, "--member", f"user/{STRANGER}:view")
    answers(outside, served, 403, _ROUTE)
    answers(outside, served, 200, _ROUTE, STRANGER)
    platform.ok("project", "add", PROJECT, "--member", f"user/{MEMBER}:view")
    answers(outside, served, 200, _ROUTE)


def test_pod_of_another_project_reaches_no_model(kube: Kube, outside: Outside, served: str) -> None:
    """Not its Service, not its pod, and not the routes, also with paths that lead out of the own project."""
    (pod,) = kube.list("v1", "Pod", PROJECT, labels=f"serving.kserve.io/inferenceservice={served}")
    job = ScriptJob(
        name="asks",
        namespace=OTHER,
        image=image_of(kube),
        scripts={"asks.py": REQUESTS},
        env={"OTHER": PROJECT, "OWN": OTHER, "MODEL": served, "POD": pod["status"]["podIP"]},
        account=TRAINER,
        maps=("platform",),
        tokens=(
            {"serviceAccountToken": {"audience": "models", "path": "models", "expirationSeconds": 3600}},
        ),
    )
    found = json.loads(run_job(kube, job, Silent(), Cancel()))
    assert len(found) == 7
    for url, (status, text) in found.items():
        assert status == (0 if url.startswith("http://") else 403), (url, text)
        assert ":predict" not in text, url


def test_objects_of_another_project_load_no_model_and_get_no_right(
    platform: Platform, kube: Kube, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", kube.token(PROJECT, TRAINER, "mlflow"))
    monkeypatch.setenv("MLFLOW_WORKSPACE", PROJECT)
    with forward(kube, "mlflow", "service/mlflow", 5000) as address:
        client = MlflowClient(f"http://{address}")
        run = client.create_run(client.create_experiment("secret"))
        client.log_text(run.info.run_id, "secret", "model/MLmodel")
        client.create_registered_model("secret")
        client.create_model_version("secret", f"{run.info.artifact_uri}/model", run.info.run_id)
    member = Kube(kube.kubeconfig, lambda: kube.token(OTHER, TRAINER))
    reasons = {each["name"]: each["reason"] for each in ATTACKS}
    for case in ATTACKS:
        member.create(inference_service(case, OTHER, PROJECT, image_of(kube)))

    def refused() -> bool | Pending:
        data = platform.ok("model", "list", "--project", OTHER, "--output", "json").envelope["data"]
        seen = {each["name"]: each for each in data["models"]}
        left = {
            name: seen[name]["reason"] for name, text in reasons.items() if text not in seen[name]["reason"]
        }
        assert not any(each["ready"] for each in seen.values()), seen
        return not left or Pending(str(left))

    wait_until("reasons", refused, seconds=120, longest_delay=1)
    for name in reasons:
        member.delete(API, KIND, name, OTHER)


def test_model_comes_and_goes_without_up(kube: Kube, outside: Outside) -> None:
    assert ask(outside, "second")[0] == 404
    serve(kube, "second")
    answers(outside, "second", 200, _READY)
    kube.delete(API, KIND, "second", PROJECT)
    answers(outside, "second", 404, _ROUTE)


def test_killed_controller_fails_no_request_and_writes_routes_again(
    platform: Platform, kube: Kube, outside: Outside, served: str
) -> None:
    stop, failed = Event(), list[Any]()

    def client() -> int:
        count = 0
        while not stop.wait(0.05):
            seen = ask(outside, served)
            count += 1
            if seen[0] != 200:
                failed.append(seen)
        return count

    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(client) for _ in range(2)]
        try:
            assert kill_controller(platform) == 1
            serve(kube, "third")
            answers(outside, "third", 200, _READY)
        finally:
            stop.set()
        assert not failed and all(each.result() > 10 for each in clients), failed[:3]
    kube.delete(API, KIND, "third", PROJECT)


def kill_controller(platform: Platform) -> int:
    """Kill the controller in its pod with SIGKILL; the number of processes that were killed."""
    code = (
        "import os,pathlib,json;"
        "found=[int(p.parent.name) for p in pathlib.Path('/proc').glob('[0-9]*/cmdline')"
        " if p.read_bytes().split(b'\\0')[1:2]==[b'/files/controller.py']];"
        "[os.kill(pid,9) for pid in found];print(json.dumps(len(found)))"
    )
    command = ["kubectl", "--kubeconfig", str(platform.state / "kubeconfig"), "--namespace", "model-routes"]
    command += ["exec", "deployment/model-routes", "--", "python3", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return int(json.loads(done.stdout))
