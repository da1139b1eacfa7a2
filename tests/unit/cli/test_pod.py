"""The command line in a pod of a project: which commands there are, and how they reach the API server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import pod as account
from mlops_platform.base import pod
from mlops_platform.cli import main
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.pod import describe

from tests import ROOT
from tests.fakes.kubeapi import FakeApi, fake_api

ENVIRONMENT = Environment(
    name="team",
    domain="mlops.test",
    port=8443,
    cluster=ClusterSpec(provider="host"),
    components={
        "mlflow": ComponentSpec(values={"a": "b"}),
        "kserve": ComponentSpec(source="present"),
        "of-the-user": ComponentSpec(),
    },
)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """The API server of a pod of the project churn, whose account has a token."""
    with fake_api(tmp_path) as server:
        (tmp_path / "token").write_text("of-ann\n")
        (tmp_path / "ca.crt").write_text(server.authority)
        monkeypatch.setattr(account, "ACCOUNT", tmp_path)
        host, port = re.findall(r"//(.+):(\d+)", server.url)[0]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        monkeypatch.setenv(pod.VARIABLE, describe(ENVIRONMENT))
        monkeypatch.setenv(pod.PROJECT_VARIABLE, "churn")
        yield server


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mlops-platform", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def test_command_of_the_project_uses_the_account_of_the_pod(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [{"name": "inferenceservices", "kind": "InferenceService", "namespaced": True}]
    api.answer = lambda _: (200, {"items": [], "metadata": {}, "resources": kinds})
    assert call(monkeypatch, "model", "list") == 0
    assert "no models are served in churn" in capsys.readouterr().out
    (tmp_path / "token").write_text("newer")
    assert call(monkeypatch, "model", "list", "--output", "json") == 0
    listed = [each for each in api.seen if "/namespaces/" in each.path]
    assert [each.authorization for each in listed] == ["Bearer of-ann", "Bearer newer"]
    assert {each.path.partition("?")[0] for each in listed} == {
        "/apis/serving.kserve.io/v1beta1/namespaces/churn/inferenceservices"
    }


@pytest.mark.parametrize("command", [["up"], ["status"], ["model", "score", "m", "--input", "a.csv"]])
def test_other_command_is_refused_with_the_commands_that_there_are(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    more = ["--output", "b.csv"] if "score" in command else []
    assert call(monkeypatch, *command, *more) == 2
    assert "is not available in a pod of a project" in (text := " ".join(capsys.readouterr().err.split()))
    assert "model serve, model show" in text and not api.seen


def test_another_project_is_refused(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "job", "list", "--project", "fraud") == 2
    assert "project fraud is not that of this pod" in capsys.readouterr().err
    assert not api.seen


def test_broken_description_is_an_error_with_a_hint(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(pod.VARIABLE, "[]")
    assert call(monkeypatch, "job", "list") == 4
    assert "start the pod again" in capsys.readouterr().err


def test_pod_without_a_token_is_an_error_with_a_hint(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.crt").unlink()
    assert call(monkeypatch, "job", "list") == 4
    assert "this pod cannot ask the API server" in capsys.readouterr().err


def test_description_has_no_settings() -> None:
    found = json.loads(describe(ENVIRONMENT))
    assert found == {
        "name": "team",
        "domain": "mlops.test",
        "port": 8443,
        "components": {"mlflow": "", "kserve": "present", "of-the-user": ""},
    }


def pins(*files: str) -> dict[str, str]:
    texts = "\n".join((ROOT / file).read_text() for file in files)
    return dict(re.findall(r"^([a-z0-9._-]+)==([0-9]+)", texts, re.MULTILINE))


def modules_of(package: str) -> list[str]:
    return {"pyyaml": ["yaml"], "python-dateutil": ["dateutil"]}.get(package, [package.replace("-", "_")])


def test_commands_load_no_package_that_the_image_of_notebooks_lacks() -> None:
    """Or that it has in another major version: the clients of KFP and KServe want older ones."""
    image = pins("images/ml/requirements.txt", "images/notebook/requirements.txt")
    own = pins("requirements.txt")
    missing = [module for name in own if image.get(name) != own[name] for module in modules_of(name)]
    assert "kubernetes" in missing and "pydantic" not in missing
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in set(sys.argv[1:]):
            raise ImportError(f"{name} is not in the image")
sys.meta_path.insert(0, Missing())
from mlops_platform.commands import experiment, job, model, _canary, _models
from mlops_platform.run import pod
from mlops_platform.report import experiments, jobs, models
from mlops_platform.steps.models import canary, manifest, options, registry, serve
from mlops_platform.steps.projects import jobs
from mlops_platform.console import experiments, jobs, models, waiting
import mlops_platform.commands.logs, mlops_platform.cli
"""
    done: Any = subprocess.run([sys.executable, "-c", code, *missing], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
