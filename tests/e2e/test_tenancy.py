"""Two projects in MLflow: what a pod of one, and people, try on the other (cases/mlflow/attacks.yaml)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.progress import Silent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job

from tests import ROOT
from tests.e2e.platform import Platform
from tests.e2e.tenancy.attack import fill

pytestmark = pytest.mark.e2e

A, B, C = "tenant-a", "tenant-b", "tenant-c"
MEMBERS = ("--member", "data-scientists:edit", "--member", "viewers:view")
SERVER = "http://mlflow.mlflow.svc:5000"


@dataclass(frozen=True)
class Attack:
    """One case, with what its group says."""

    name: str
    case: Mapping[str, Any]
    want: tuple[int, ...]
    leak: tuple[str, ...]
    from_gateway: bool


def attacks() -> Iterator[Attack]:
    for group in yaml.safe_load((ROOT / "tests/cases/mlflow/attacks.yaml").read_text()):
        for i, each in enumerate(group["cases"]):
            case = dict(each) if isinstance(each, dict) else {"request": each}
            case = {"workspace": group.get("workspace", ""), **case}
            request = case.get("request", "")
            line = request if isinstance(request, str) else request[0]
            name = f"{group['group']}: {i} {case.pop('name', line)}"
            from_gateway = group.get("from") == "gateway"
            yield Attack(name, case, tuple(group["want"]), tuple(group.get("leak", ())), from_gateway)


ATTACKS = list(attacks())


@dataclass(frozen=True)
class Outcome:
    """The answers by name of the attack, and the values of both projects."""

    answers: Mapping[str, Mapping[str, Any]]
    known: Mapping[str, str]


@pytest.fixture(scope="module")
def outcome(platform: Platform) -> Iterator[Outcome]:
    """Data in two projects by MLflow's own client, then all attacks, from a pod of A and as the gateway."""
    kube = Kube(platform.state / "kubeconfig")
    image = image_of(kube)
    known = {"a": A, "b": B, "bucket": "s3://mlflow"}
    try:
        platform.ok("project", "add", A)
        platform.ok("project", "add", B, *MEMBERS)
        for letter, project in (("a", A), ("b", B)):
            found = printed(run(kube, client_job("data", project, image)))
            known |= {f"{letter}_{key}": value for key, value in found.items()}
        log = run(kube, attack_job(A, image, known, from_gateway=False))
        log += run(kube, attack_job("mlflow", image, known, from_gateway=True))
        answers = {line["name"]: line for line in map(json.loads, log.splitlines())}
        yield Outcome(answers, known)
    finally:
        for project in (A, B):
            platform.ok("project", "remove", project, "--yes", "--force")


def run(kube: Kube, job: ScriptJob) -> str:
    return run_job(kube, job, Silent(), Cancel())


def image_of(kube: Kube) -> str:
    found = kube.get("apps/v1", "Deployment", "mlflow", "mlflow")
    assert found
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def printed(log: str) -> dict[str, Any]:
    """The line of JSON in a log that also has lines of MLflow's client."""
    (line,) = [each for each in log.splitlines() if each.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    return found


def client_job(name: str, project: str, image: str, place: str = "") -> ScriptJob:
    """A script with MLflow's client, as the account of training jobs."""
    env = {
        "MLFLOW_TRACKING_URI": SERVER,
        "MLFLOW_TRACKING_AUTH": "platform",
        "PLATFORM_MLFLOW_TOKEN": "/run/secrets/token/token",
        "GIT_PYTHON_REFRESH": "quiet",
        "PROJECT": project,
        "PLACE": place,
    }
    return ScriptJob(
        name, project, image, script(name), env=env, memory="1Gi", token="mlflow", account=TRAINER
    )


def attack_job(namespace: str, image: str, known: Mapping[str, str], *, from_gateway: bool) -> ScriptJob:
    """All cases of one source. Only MLflow's own namespace has the gateway's secret."""
    cases = [{"name": each.name, **each.case} for each in ATTACKS if each.from_gateway == from_gateway]
    files = {"cases.json": json.dumps([cases, dict(known)])}
    job = ScriptJob("attack", namespace, image, script("attack"), files=files, audience="other")
    if from_gateway:
        return replace(job, secrets={"mlflow-proxy": "proxy"})
    return replace(job, token="mlflow", account=TRAINER)


def script(name: str) -> dict[str, str]:
    return {f"{name}.py": (ROOT / f"tests/e2e/tenancy/{name}.py").read_text()}


@pytest.mark.parametrize("attack", ATTACKS, ids=[each.name for each in ATTACKS])
def test_attack_gets_nothing(outcome: Outcome, attack: Attack) -> None:
    answer = outcome.answers[attack.name]
    assert answer["status"] in attack.want, answer["text"]
    known = {**outcome.known, **fill(attack.case.get("values", {}), dict(outcome.known))}
    asked = json.dumps(fill(dict(attack.case), known))
    if answer["status"] < 400:
        leaked = [text for text in fill(list(attack.leak), dict(known)) if text in answer["text"]]
        assert not [text for text in leaked if text not in asked], answer["text"]


def test_removed_project_leaves_nothing_and_kept_data_is_there_again(platform: Platform) -> None:
    kube = Kube(platform.state / "kubeconfig")
    image = image_of(kube)

    def left(place: str) -> dict[str, Any]:
        return printed(run(kube, client_job("left", C, image, place)))

    try:
        platform.ok("project", "add", C)
        place = printed(run(kube, client_job("data", C, image)))["file"].removesuffix("/secret.txt")
        full = left(place)
        assert (full["experiments"], full["models"]) == (["work"], [f"clf-{C}"]) and full["files"]
        platform.ok("project", "remove", C, "--yes", "--force", "--keep-data")
        platform.ok("project", "add", C)
        assert left(place) == full
        platform.ok("project", "remove", C, "--yes", "--force")
        platform.ok("project", "add", C)
        assert left(place) == {"experiments": [], "models": [], "files": []}
    finally:
        platform.ok("project", "remove", C, "--yes", "--force")
