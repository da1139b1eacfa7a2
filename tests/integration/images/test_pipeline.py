"""The image of pipelines: compiled pipelines run in its read-only root, and are recorded in MLflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.process import Completed

from tests import ROOT
from tests.integration.images.test_shipped import IMAGES, Root, unpacked

pytestmark = pytest.mark.integration

CASES = ROOT / "tests/cases/pipelines"
[FOLDER] = [file.parent for file in (ROOT / "helm-values").glob("*/pipeline_steps.py")]
# What a Job has in its ConfigMap `platform`; a folder in place of the tracking server.
ENV = {
    "HOME": "/tmp",
    "JOB": "job-1",
    "MLFLOW_TRACKING_URI": "file:///tmp/mlruns",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
DUMP = """
import json, mlflow
from pathlib import Path
client = mlflow.MlflowClient()
found = []
for each in client.search_runs([e.experiment_id for e in client.search_experiments()]):
    root = Path(each.info.artifact_uri.removeprefix("file://"))
    files = {str(f.relative_to(root)): f.read_text() for f in sorted(root.rglob("*")) if f.is_file()}
    tags = {k: v for k, v in each.data.tags.items() if k.startswith(("step.", "mlflow.parent"))}
    info = {"name": each.info.run_name, "id": each.info.run_id, "status": each.info.status}
    data = {"params": each.data.params, "metrics": each.data.metrics}
    found.append({**info, **data, "tags": tags, "files": files})
print("DUMP", json.dumps(found))
"""


@dataclass(frozen=True)
class Ran:
    """A run: how the script ended, its log, its result, and the runs in MLflow by name."""

    code: int
    lines: list[str]
    result: dict[str, Any]
    runs: dict[str, dict[str, Any]]

    @property
    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.result["steps"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    with unpacked(tmp_path_factory, "pipeline") as made:
        for name in ("scripts", "files"):
            (made.folder / name).mkdir()
        for name in ("pipeline.py", "pipeline_steps.py"):
            shutil.copy(FOLDER / name, made.folder / "scripts")
        (made.folder / "scripts/dump.py").write_text(DUMP)
        yield made


def start(root: Root, case: Path, arguments: dict[str, Any], script: str) -> Completed:
    shutil.copy(case, root.folder / "files/pipeline.yaml")
    (root.folder / "files/arguments.json").write_text(json.dumps(arguments))
    return root.run("/bin/sh", "-c", script, env=ENV)


def run(root: Root, case: str, **arguments: Any) -> Ran:
    script = "python3 /scripts/pipeline.py; echo CODE $?; python3 /scripts/dump.py"
    done = start(root, CASES / f"{case}.yaml", arguments, script)
    lines = done.stdout.splitlines()
    found = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}
    runs = {each["name"]: each for each in json.loads(found["DUMP"])}
    return Ran(int(found["CODE"]), lines, json.loads(found["RESULT"]), runs)


def test_artifacts_loop_and_condition_are_recorded(root: Root) -> None:
    ran = run(root, "churn-training", rates=[0.1, 0.3, 0.5])
    assert ran.code == 0, "\n".join(ran.lines)
    assert ran.states == {
        "prepare": "succeeded",
        **dict.fromkeys(("train.0", "train.1", "train.2"), "succeeded"),
        "best": "succeeded",
        "publish": "succeeded",
        "reject": "skipped",
    }
    pipeline = ran.runs["job-1"]
    assert pipeline["status"] == "FINISHED"
    assert pipeline["params"]["rates"] == "[0.1, 0.3, 0.5]"
    assert pipeline["params"]["rows"] == "10", "a default, and an integer"
    assert pipeline["metrics"]["train.1/score"] == 1.0 and pipeline["metrics"]["train.2/rows _ 1"] == 10
    assert pipeline["files"]["prepare/table"].startswith("0,0\n1,2\n")
    assert json.loads(pipeline["files"]["prepare/table.metadata.json"])["rows"] == 10
    assert pipeline["files"]["train.0/model"] == "0.1" and pipeline["files"]["train.2/model"] == "0.5"
    assert pipeline["files"]["publish/page.html"] == "<b>1.0</b>"
    assert pipeline["files"]["pipeline/pipeline.yaml"] == (CASES / "churn-training.yaml").read_text()
    assert pipeline["tags"]["step.train.2"] == "succeeded" and pipeline["tags"]["step.reject"] == "skipped"
    below = ran.runs["publish"]
    assert below["tags"]["mlflow.parentRunId"] == pipeline["id"] == ran.result["run"]
    assert below["metrics"] == {"published": 1.0}


def test_nested_pipelines_do_not_write_into_the_files_of_each_other(root: Root) -> None:
    ran = run(root, "nested")
    assert ran.states == dict.fromkeys(("inner/note", "inner-2/note", "inner-3.1/note"), "succeeded")
    files = ran.runs["job-1"]["files"]
    notes = {name: text for name, text in files.items() if name.endswith("note.txt")}
    assert notes == {
        "inner/note/folder/note.txt": "one",
        "inner-2/note/folder/note.txt": "two",
        "inner-3.1/note/folder/note.txt": "three",
    }


def test_failing_step_is_named_with_its_reason_and_the_end_of_the_pipeline_runs(root: Root) -> None:
    ran = run(root, "failing", file="/tmp/there")
    assert ran.code == 1
    assert ran.states == {"fail": "failed", "flaky": "succeeded", "clean": "succeeded", "after": "skipped"}
    assert ran.result["reason"] == "step fail: ValueError: 3 rows:\ntoo few"
    attempts = {each["name"]: each["attempts"] for each in ran.result["steps"]}
    assert attempts["flaky"] == 2, "KFP's local runner tries again"
    assert ran.runs["job-1"]["status"] == "FAILED"
    assert ran.runs["job-1"]["tags"]["step.fail"] == "failed"
    assert "fail | reading" in ran.lines and "clean | cleaned after FAILED" in ran.lines
    assert not [line for line in ran.lines if "KFP Executor" in line]


def test_component_without_a_pipeline_runs(root: Root) -> None:
    ran = run(root, "fail", rows=2)
    assert (ran.code, ran.result["reason"]) == (1, "step fail: ValueError: 2 rows:\ntoo few")


def test_condition_that_cannot_be_evaluated_fails(root: Root) -> None:
    """KFP's local runner takes it for false, and ends with success."""
    ran = run(root, "quoted")
    assert ran.code == 1 and ran.states == {"after": "skipped"}
    assert "Condition evaluation failed" in ran.result["reason"]


def test_stopped_run_is_killed_in_mlflow(root: Root) -> None:
    """As the first process of a container, which gets no signal that it does not handle."""
    text = (CASES / "fail.yaml").read_text().replace('print(\\"reading\\")', "import time; time.sleep(60)")
    assert "sleep" in text
    case = root.folder / "files/sleeping.yaml"
    case.write_text(text)
    script = (
        "python3 /scripts/pipeline.py > /tmp/log & "
        "until grep -q 'step fail: running' /tmp/log; do sleep 0.1; done; "
        "kill -TERM $!; wait $!; echo CODE $?; python3 /scripts/dump.py"
    )
    done = start(root, case, {"rows": 1}, script)
    assert "CODE 143" in done.stdout
    [found] = json.loads(done.stdout.rpartition("DUMP ")[2])
    assert found["status"] == "KILLED"


def test_pip_finds_every_package_of_the_image_without_an_index(root: Root) -> None:
    """`pipeline run` accepts these in packages_to_install. KFP itself is installed with --no-deps."""
    names = [name for name in IMAGES.packages("pipeline") if not name.startswith("kfp")]
    options = "--no-index --break-system-packages --no-warn-script-location"
    done = root.run("/bin/sh", "-c", f"pip install {options} {' '.join(names)}", env={"HOME": "/tmp"})
    assert "Requirement already satisfied" in done.stdout and "Collecting" not in done.stdout
