"""The user's own components: where they are found, and commands that work without them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlops_platform.base.errors import ConfigurationError, Exit
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.scaffold import new_component
from mlops_platform.catalogue.variables import COMMON
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment

ENVIRONMENT = "name: mine\ndomain: mlops.test\ncluster: {provider: host}\ncomponents: {app: {}, minio: {}}\n"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an environment and a component of the user, and another, empty directory."""
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLOPS_PLATFORM_COMPONENTS", raising=False)
    folder = tmp_path / "work"
    (folder / "environments").mkdir(parents=True)
    (folder / "environments/mine.yaml").write_text(ENVIRONMENT)
    new_component("app", folder / "components")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def recorded(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As after `up`: the environment is recorded, and the command runs in another directory."""
    open_environment("mine").record()
    monkeypatch.chdir(work.parent / "elsewhere")
    return work


def problems_of(name: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        open_environment(name)
    assert caught.value.exit_code == Exit.CONFIGURATION
    return [problem.what for problem in caught.value.problems]


def test_shipped_environment_knows_components_of_working_directory(work: Path) -> None:
    opened = open_environment("local")
    assert opened.catalog.folder("app") == work / "components/app"
    opened.record()
    recorded = (Paths.default().environment("local") / "environment.yaml").read_text()
    assert "# components: " not in recorded


def test_variable_names_another_folder(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "components").rename(work / "other")
    assert problems_of("mine") == ["no component app"]
    monkeypatch.setenv("MLOPS_PLATFORM_COMPONENTS", "other")
    assert open_environment("mine").catalog.folder("app") == work / "other/app"
    monkeypatch.setenv("MLOPS_PLATFORM_COMPONENTS", "nowhere")
    assert problems_of("mine") == ["no such folder of components"]


def test_name_of_a_shipped_component_is_refused(work: Path) -> None:
    new_component("minio", work / "components")
    assert problems_of("mine") == ["minio: a shipped component has this name"]


def test_recorded_environment_finds_its_components_from_another_directory(recorded: Path) -> None:
    assert open_environment("mine").catalog.folder("app") == recorded / "components/app"


@pytest.mark.parametrize("gone", ["folder", "component", "broken"])
def test_only_commands_that_need_no_folder_work_without_it(gone: str, recorded: Path) -> None:
    match gone:
        case "folder":
            shutil.rmtree(recorded / "components")
        case "component":
            shutil.rmtree(recorded / "components/app")
        case "broken":
            (recorded / "components/app/component.yaml").write_text("name: [")
    with pytest.raises(ConfigurationError):
        open_environment("mine")
    assert list(open_environment("mine", lenient=True).environment.components) == ["minio"]


def test_commands_that_need_no_folder_work_where_the_file_is(work: Path) -> None:
    shutil.rmtree(work / "components")
    assert list(open_environment("mine", lenient=True).environment.components) == ["minio"]


def test_every_template_variable_that_the_checks_know_has_a_value(work: Path) -> None:
    app = read_only(open_environment("mine")).resolved["app"]
    assert app.variables.keys() == {*COMMON, "port_http"}
