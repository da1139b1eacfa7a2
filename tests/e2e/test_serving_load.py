"""A model logged from outside and asked from outside: rollouts, canaries and autoscaling under load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.inference import parts_of
from mlops_platform.adapters.wait import Pending, wait_until

from tests import ROOT
from tests.e2e.platform import Platform
from tests.e2e.serving.outside import Fewest, Load, Outside

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

PROJECT, USER = "loaded", "loads"
BODY = json.dumps({"instances": [[6.3, 3.3, 6.0, 2.5]]}).encode()
# Of a binomial distribution: 99.9 % of fair splits are within 3.29 standard deviations.
REQUESTS, PERCENT = 1000, 20
SPREAD = 3.29 * (REQUESTS * PERCENT / 100 * (1 - PERCENT / 100)) ** 0.5
# The program of a data scientist, but for the first line: libc may not know names below localhost.
LOG = f"""\
import sys; sys.path.append({str(ROOT)!r}); from tests.e2e import names; names.resolve_localhost()
import mlflow, numpy, pandas
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

x, y = load_iris(return_X_y=True, as_frame=True)
mlflow.set_experiment("outside")
for strength in (1.0, 2.0):
    model = LogisticRegression(max_iter=500, C=strength).fit(x, y)
    signature = infer_signature(x, y)
    mlflow.sklearn.log_model(model, name="model", signature=signature, registered_model_name="iris")
"""
MIXED = """\
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

table = pandas.DataFrame({"color": ["red", "blue"] * 4, "size": [float(n) for n in range(8)]})
prices = table["size"] + 10 * (table["color"] == "red")
columns = make_column_transformer((OneHotEncoder(), ["color"]), remainder="passthrough")
model = make_pipeline(columns, LinearRegression()).fit(table, prices)
mlflow.sklearn.log_model(
    model, name="model", signature=infer_signature(table, prices), registered_model_name="mixed"
)
"""
LARGE = """\
from pathlib import Path
Path("large.py").write_text('''
import mlflow, numpy
class Large(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.table = numpy.fromfile(context.artifacts["table"], dtype="uint8")
    def predict(self, context, model_input, params=None):
        return [int(self.table[int(row)]) for row in model_input["row"]]
mlflow.models.set_model(Large())
''')
numpy.full(2_000_000_000, 7, dtype="uint8").tofile("table")
mlflow.pyfunc.log_model(
    name="model", python_model="large.py", artifacts={"table": "table"}, registered_model_name="large",
    signature=infer_signature(pandas.DataFrame({"row": [1]}), [0]), pip_requirements=["numpy", "pandas"],
)
"""


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(platform.state / "kubeconfig")


@pytest.fixture(scope="module")
def outside(platform: Platform) -> Iterator[Outside]:
    """A machine user that is a member of the project, and the gateway on this machine."""
    platform.ok("user", "add", USER, "--machine", "--group", "data-scientists")
    member = ("--member", f"user/{USER}:edit")
    platform.ok("project", "add", PROJECT, *member, "--quota", "cpu=6,memory=16Gi")
    platform.ok("trust")
    token = platform.ok("token", USER).out.strip()
    try:
        with platform.opened("model-routes") as url:
            host, _, port = url.removeprefix("https://").strip("/").partition(":")
            yield Outside(int(port), host, str(platform.state / "authority.crt"), {USER: token})
    finally:
        platform.ok("project", "remove", PROJECT, "--yes", "--force")
        platform.ok("user", "remove", USER)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that knows nothing of the platform, with the packages of the image `ml`."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    packages = ["--quiet", "--require-hashes", "--requirement", str(ROOT / "images/ml/requirements.txt")]
    subprocess.run([str(folder / "bin/pip"), "install", *packages], check=True, timeout=900)
    return folder / "bin/python"


def log(python: Path, outside: Outside, program: str, folder: Path) -> None:
    variables = {
        "MLFLOW_TRACKING_URI": f"https://{outside.host.replace('models', 'mlflow', 1)}:{outside.port}",
        "MLFLOW_WORKSPACE": PROJECT,
        "MLFLOW_TRACKING_TOKEN": outside.tokens[USER],
        "MLFLOW_TRACKING_SERVER_CERT_PATH": outside.authority,
    }
    command = [str(python), "-c", program]
    done = subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def iris(outside: Outside, python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with two versions, logged from outside."""
    log(python, outside, LOG, tmp_path_factory.mktemp("log"))
    return "iris"


def serve(platform: Platform, *arguments: str) -> None:
    platform.ok("model", "serve", *arguments, "--project", PROJECT)


def load(outside: Outside, rate: float = 20) -> Load:
    return Load(outside, PROJECT, "iris", USER, BODY, rate)


def stable_pods(kube: Kube) -> set[str]:
    pods = kube.list("v1", "Pod", PROJECT, labels="app=isvc.iris-predictor")
    return {each["metadata"]["uid"] for each in pods if "deletionTimestamp" not in each["metadata"]}


def test_model_logged_outside_answers_outside(platform: Platform, outside: Outside, iris: str) -> None:
    serve(platform, f"{iris}/1")
    answer = outside.ask(PROJECT, iris, USER, BODY)
    assert (answer.status, json.loads(answer.text), answer.version) == (200, {"predictions": [2]}, "1")


@pytest.mark.parametrize("killed", [False, True], ids=["update", "killed-controller"])
def test_update_under_load_fails_no_request_and_keeps_four_pods(
    platform: Platform, kube: Kube, outside: Outside, iris: str, killed: bool
) -> None:
    serve(platform, f"{iris}/1", "--replicas", "4")
    with load(outside) as found, Fewest(kube, PROJECT, iris) as fewest:
        update = platform.start("model", "serve", f"{iris}/2", "--project", PROJECT)
        if killed:
            old = stable_pods(kube)
            wait_until("a new pod", lambda: bool(stable_pods(kube) - old) or Pending("none"), seconds=60)
            for pod in kube.list("v1", "Pod", "kserve"):
                kube.delete("v1", "Pod", pod["metadata"]["name"], "kserve", grace_seconds=0)
        _, errors = update.communicate(timeout=600)
        assert update.returncode == 0, errors
    assert not found.failed, (len(found.failed), len(found.answers), found.failed[:3])
    assert fewest.seen == 4
    assert {each.version for each in found.answers} == {"1", "2"} and found.answers[-1].version == "2"


def test_canary_gets_its_share_and_its_promotion_restarts_stable_pods_once(
    platform: Platform, kube: Kube, outside: Outside, iris: str
) -> None:
    serve(platform, f"{iris}/1", "--replicas", "2")
    before = stable_pods(kube)
    serve(platform, f"{iris}/2", "--canary", str(PERCENT))
    split = Counter(outside.ask(PROJECT, iris, USER, BODY) for _ in range(REQUESTS))
    assert {(each.version, each.predictor) for each in split} == {("1", "stable"), ("2", "v2")}
    canary = sum(count for each, count in split.items() if each.predictor == "v2")
    assert abs(canary - REQUESTS * PERCENT / 100) <= SPREAD, canary
    assert stable_pods(kube) == before
    seen = set[str]()
    with load(outside) as found:
        promotion = platform.start("model", "serve", f"{iris}/2", "--promote", "--project", PROJECT)
        while promotion.poll() is None:
            seen |= stable_pods(kube)
        said = promotion.communicate()  # it also closes the pipes
        assert promotion.returncode == 0, said
    assert not found.failed, (len(found.failed), len(found.answers), found.failed[:3])
    assert len(seen - before) == 2, "each stable pod is replaced once"
    assert (found.answers[-1].version, found.answers[-1].predictor) == ("2", "stable")


def test_object_of_a_member_with_mixed_columns_variables_and_an_autoscaler(
    platform: Platform, kube: Kube, outside: Outside, python: Path, tmp_path: Path
) -> None:
    """Cases of KServe's own acceptance tests that apply to this mode and format, on one object."""
    log(python, outside, LOG.partition("for strength")[0] + MIXED, tmp_path)
    mine = ("serving.kserve.io/v1beta1", "InferenceService", "mixed", PROJECT)
    model: dict[str, Any] = {
        "modelFormat": {"name": "mlflow"},
        "protocolVersion": "v2",
        "storageUri": "mlflow://mixed/1",
        "env": [{"name": name, "value": "x"} for name in ("ONE", "TWO")],
    }
    scaling = {"minReplicas": 2, "maxReplicas": 3, "scaleMetric": "cpu", "scaleTarget": 50}
    predictor = {"serviceAccountName": "server", **scaling, "model": model}
    made: dict[str, Any] = {"apiVersion": mine[0], "kind": mine[1], "spec": {"predictor": predictor}}
    kube.create({**made, "metadata": {"name": mine[2], "namespace": PROJECT}})
    ready(platform, "mixed")
    body = {"instances": [{"color": "red", "size": 2.0}, {"color": "blue", "size": 7.0}]}
    answer = outside.ask(PROJECT, "mixed", USER, json.dumps(body).encode())
    assert json.loads(answer.text)["predictions"] == pytest.approx([12, 7]), answer
    text = b'{"instances": [{"color": "green", "size": 2.0}]}'
    assert outside.ask(PROJECT, "mixed", USER, text).status == 400, "a category that the model does not know"
    (scaler,) = kube.list("autoscaling/v2", "HorizontalPodAutoscaler", PROJECT)
    target = scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"], target) == (2, 3, 50)
    model["env"] = model["env"][:1]
    kube.patch(
        *mine, body={"metadata": {"annotations": {"example.com/a": "b"}}, "spec": {"predictor": predictor}}
    )
    ready(platform, "mixed")
    (deployment,) = parts_of(kube, PROJECT, "mixed").deployments
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"ONE", "TWO"} & {each["name"] for each in container["env"]} == {"ONE"}
    assert deployment["spec"]["replicas"] == 2
    platform.ok("model", "stop", "mixed", "--project", PROJECT)


def ready(platform: Platform, name: str) -> None:
    def look() -> bool | Pending:
        found = platform.ok("model", "show", name, "--project", PROJECT, "--output", "json")
        model = found.envelope["data"]["model"]
        return model["state"] == "ready" or Pending(str(model))

    wait_until(f"{name} is ready", look, seconds=180, longest_delay=1)


def test_autoscaler_adds_pods_under_load_and_fails_no_request(
    platform: Platform, kube: Kube, outside: Outside, iris: str
) -> None:
    serve(platform, f"{iris}/2", "--replicas", "1", "--cpu", "50m")  # other tests leave more pods
    serve(platform, f"{iris}/2", "--replicas", "1-3")
    # The limits of an autoscaler are an annotation, which KServe copies: the pod is replaced.
    wait_until("one pod", lambda: len(stable_pods(kube)) == 1 or Pending("another one ends"), seconds=60)

    def several() -> bool | Pending:
        (deployment,) = parts_of(kube, PROJECT, iris).deployments
        ready = deployment["status"].get("readyReplicas", 0)
        return ready >= 2 or Pending(f"{ready} ready")

    with load(outside, rate=50) as found:
        wait_until("a second pod", several, seconds=240, longest_delay=1)
    assert not found.failed, (len(found.failed), len(found.answers), found.failed[:3])


def test_model_of_two_gigabytes_says_its_limit_and_loads_with_more(
    platform: Platform, outside: Outside, iris: str, python: Path, tmp_path: Path
) -> None:
    log(python, outside, LOG.partition("for strength")[0] + LARGE, tmp_path)
    result = platform.run("model", "serve", "large", "--project", PROJECT)
    assert result.code == 5 and "it needs more memory than its limit, 1Gi" in result.err
    serve(platform, "large", "--memory", "3Gi")
    answer = outside.ask(PROJECT, "large", USER, b'{"instances": [{"row": 1999999999}]}')
    assert (answer.status, json.loads(answer.text)) == (200, {"predictions": [7]})
