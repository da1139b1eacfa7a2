"""A new component is a folder and no other edit: `component new`, and all that reads the folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog, read_catalog_leniently
from mlops_platform.catalogue.reference import page, schema
from mlops_platform.catalogue.scaffold import new_component
from mlops_platform.cli import main

from tests import ROOT

ASSETS = Paths.default().assets
PROBES = ROOT / "installer/mlops_platform/smoke/probes.py"
ENVIRONMENT = (
    "name: mine\ndomain: mlops.test\ncluster: {provider: host}\ncomponents: {app: {}, other-app: {}}\n"
)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user's components, with two of them, in a working directory with an environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/mine.yaml").write_text(ENVIRONMENT)
    for name in ("app", "other-app"):
        new_component(name, tmp_path / "components")
    return tmp_path / "components"


def test_new_component_passes_all_checks(own: Path) -> None:
    catalog = read_catalog(ASSETS / "helm-values", own, images=ASSETS / "images")
    assert catalog.folder("app") == own / "app"
    assert catalog.edges("app", catalog.entries) == ()


def test_contributed_component_passes_all_checks_of_the_shipped_ones(own: Path, tmp_path: Path) -> None:
    shipped = tmp_path / "helm-values"
    shutil.copytree(ASSETS / "helm-values", shipped)
    shutil.copytree(own / "app", shipped / "app")
    read_catalog(tmp_path / "environments", shipped, images=ASSETS / "images")


@pytest.mark.parametrize("command", [("plan",), ("policies", "show"), ("env", "show")], ids="-".join)
def test_commands_know_a_new_component(
    command: tuple[str, ...], own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argument = ["mine"] if command[0] == "env" else ["--env", "mine"]
    monkeypatch.setattr(sys, "argv", ["mlops-platform", *command, *argument, "--output", "json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["outcome"] == "done"
    assert "other-app" in json.dumps(envelope["data"])


def test_smoke_test_of_a_new_component_passes_against_its_server(own: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-ISs", str(own / "other-app/serve.py"), str(port)])
    try:
        shutil.copy(PROBES, tmp_path)
        shutil.copy(own / "other-app/smoke.py", tmp_path)
        done = subprocess.run(
            [sys.executable, str(tmp_path / "smoke.py"), "probe", "write", "read"],
            env={**os.environ, "URL": f"http://127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.terminate()
        server.wait(10)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [each["ok"] for each in results] == [True] * 4


@pytest.mark.parametrize("name", ["../app", "App", "true", "default", "a" * 31, "é", ""])
def test_bad_names_are_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        new_component(name, tmp_path / "components")
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_overwritten(own: Path) -> None:
    before = (own / "app/component.yaml").read_text()
    with pytest.raises(UsageError, match="exists already"):
        new_component("app", own)
    assert (own / "app/component.yaml").read_text() == before


def test_schema_has_every_key_with_a_description() -> None:
    whole = schema()
    for name, each in {"Component": whole, **whole["$defs"]}.items():
        for key, value in each["properties"].items():
            assert value.get("description"), f"{name}.{key}"
    assert "x-renamed" not in json.dumps(whole)


def test_reference_page_is_current(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs/reference/component.md", page())


BAD = {
    "text": "x",
    "list": "[]",
    "number": "7",
    "null": "null",
    "nested": "{a: {b: [c]}}",
    "huge": "9" * 5000,
    "long": "a" * 5000,
    "unicode": "é\u202e",
    "variable": '"${nope}"',
    "dollar": '"$"',
    "path": "../../etc/passwd",
    "negative": "-1",
}


@pytest.mark.parametrize("bad", BAD)
def test_any_value_in_place_of_another_is_a_problem_or_right(bad: str, own: Path) -> None:
    """Each key of each YAML file of the folder gets a wrong value: problems with lines, no exception."""
    shutil.rmtree(own / "other-app")
    (empty := own.parent / "helm-values").mkdir()
    for file in sorted((own / "app").glob("*.yaml")):
        original = file.read_text()
        lines = original.splitlines()
        for number, line in enumerate(lines):
            key, colon, _ = line.partition(":")
            if not colon or "#" in key:
                continue
            file.write_text("\n".join([*lines[:number], f"{key}: {BAD[bad]}", *lines[number + 1 :]]))
            _, problems = read_catalog_leniently(empty, own)
            for problem in problems:
                assert problem.file.startswith("components/") and problem.what, problem
                assert len(str(problem)) < 600, problem
        file.write_text(original)
