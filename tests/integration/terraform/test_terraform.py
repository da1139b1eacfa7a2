"""Apply, no-op, outputs, destroy, errors and Ctrl-C with a real Terraform or OpenTofu."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlops_platform.adapters.terraform import find_binary
from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.terraform.runner import Runner, session
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, StepError
from mlops_platform.base.progress import Silent

from tests.integration.terraform.conftest import ROOTS, Site, site_of
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration

ALL = {f"{rank}-{index}" for rank in ("first", "second") for index in range(3)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def tree(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_apply_then_no_op_then_destroy(site: Site) -> None:
    terraform, progress, before = site.terraform(), RecordingProgress(), tree(site.folder.root)
    assert not terraform.unchanged(site.variables()) and terraform.resources() == ()
    outputs = terraform.apply(site.variables(), progress, Cancel())
    assert set(outputs["names"]) == ALL == site.objects()
    assert progress.fractions[-1][:2] == (6, 6)
    assert "terraform_data.first[0]: creating" in progress.said and not progress.notes

    again = site.terraform()
    assert again.unchanged(site.variables()) and again.outputs() == outputs
    assert len(again.resources()) == 6 and "terraform_data.second[2]" in again.resources()
    assert not again.unchanged(site.variables(count=2))

    again.destroy(site.variables(), progress, Cancel())
    assert site.objects() == set() and again.resources() == ()
    assert not again.unchanged(site.variables())
    assert tree(site.folder.root) == before  # the root may lie in an installed wheel


def test_apply_destroys_objects_that_left_the_configuration(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    site.terraform().apply(site.variables(count=1), Silent(), Cancel())
    assert site.objects() == {"first-0", "second-0"} and len(site.made()) == 6


def test_queries_start_no_program(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, wrapper = tmp_path / "calls", tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>{calls}\nexec {find_binary().path} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", str(wrapper))
    site.terraform().apply(site.variables(), Silent(), Cancel())
    said = calls.read_text()
    assert "apply" in said and str(site.things) not in said  # variables are in no argv
    assert site.terraform().unchanged(site.variables())
    assert site.terraform().outputs() and site.terraform().resources()
    site.terraform().recover(Silent())
    assert calls.read_text() == said
    wrapper.write_text(wrapper.read_text() + "# another file\n")
    assert not site.terraform().unchanged(site.variables())


def test_no_op_does_not_import_python_terraform(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    script = (
        "import sys; from pathlib import Path; from mlops_platform.adapters.terraform import Terraform;"
        f"t = Terraform(Path({str(site.folder.root)!r}), Path({str(site.folder.path)!r}));"
        f"assert t.unchanged({site.variables()!r}) and t.outputs();"
        "print('python_terraform' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def test_second_apply_does_not_run_init_again(site: Site) -> None:
    first, second, third = RecordingProgress(), RecordingProgress(), RecordingProgress()
    site.terraform().apply(site.variables(count=1), first, Cancel())
    site.terraform().apply(site.variables(count=2), second, Cancel())
    site.folder.initialised.unlink()
    site.terraform().apply(site.variables(count=3), third, Cancel())
    assert ["init" in progress.said for progress in (first, second, third)] == [True, False, True]


def test_files_are_readable_by_the_owner_only(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    assert site.folder.path.stat().st_mode & 0o777 == 0o700
    assert site.folder.variables.stat().st_mode & 0o777 == 0o600


def test_terraform_variables_of_the_shell_are_ignored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_WORKSPACE", "another")
    monkeypatch.setenv("TF_CLI_ARGS_apply", "-target=nothing.here")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/nowhere/.terraformrc")
    site.terraform().apply(site.variables(), Silent(), Cancel())
    assert site.objects() == ALL and site.terraform().unchanged(site.variables())


def test_error_has_terraform_s_diagnostics(tmp_path: Path) -> None:
    site, progress = site_of("failing", tmp_path), RecordingProgress()
    with pytest.raises(CommandFailed) as caught:
        site.terraform().apply({"status": 3}, progress, Cancel())
    error = caught.value
    assert error.what.endswith("apply: terraform_data.ill: local-exec provisioner error")
    assert "exit status 3" in error.why and "the disk said no" in error.why
    assert f"-chdir={ROOTS / 'failing'} apply -var-file=" in error.command
    assert "TF_DATA_DIR=" in error.command
    assert any("advice" in note or "assertion" in note for note in progress.notes)
    assert not site.terraform().unchanged({"status": 3})
    # The objects created before the error are in the state: fixing the cause is enough.
    assert "terraform_data.well" in site.terraform().resources()
    site.terraform().apply({"status": 0}, progress, Cancel())
    assert site.terraform().unchanged({"status": 0})
    # The command in the message works when it is pasted.
    pasted = subprocess.run(
        error.command.replace(" apply ", " plan -detailed-exitcode "), shell=True, capture_output=True
    )
    assert pasted.returncode == 0, pasted.stdout


def test_full_disk_during_an_apply_loses_no_state(tmp_path: Path, small_disk: Path) -> None:
    things, root = tmp_path / "things", tmp_path / "root"
    things.mkdir()
    shutil.copytree(ROOTS / "objects", root)  # Terraform writes the state into it if its disk is full
    site = Site(Folder(root, small_disk / "terraform"), things)
    with ThreadPoolExecutor(1) as pool:
        with site.held():
            apply = pool.submit(site.terraform().apply, site.variables(), Silent(), Cancel())
            site.until_event("provision_progress")
            with (
                pytest.raises(OSError, match="No space left"),
                (small_disk / "rest").open("wb", buffering=0) as rest,
            ):
                while True:
                    rest.write(bytes(4096))
        with pytest.raises(CommandFailed) as caught:
            apply.result(timeout=30)
    # The last block of the event file may have room for Terraform's own message.
    own, ours = "no space left on device", f"the disk of {site.folder.path} is full"
    assert own in caught.value.why or ours in caught.value.why
    assert site.terraform().resources() != ()  # restored only when there is space
    (small_disk / "rest").unlink()
    progress = RecordingProgress()
    site.terraform().recover(progress)
    assert any("errored.tfstate" in note for note in progress.notes)
    assert len(site.terraform().resources()) == len(site.objects()) >= 3
    site.terraform().apply(site.variables(), progress, Cancel())
    assert site.objects() == ALL and tree(root) == [str(root / "main.tf")]


def test_unreadable_root_is_an_error_of_init(tmp_path: Path) -> None:
    site = site_of("unparsable", tmp_path)
    with pytest.raises(CommandFailed, match="init: exit 1") as caught:
        site.terraform().apply({}, Silent(), Cancel())
    assert "main.tf" in caught.value.why
    assert site.terraform().resources() == ()


def test_ctrl_c_ends_cleanly_with_a_saved_state(site: Site) -> None:
    cancel = Cancel()
    with ThreadPoolExecutor(1) as pool:
        apply = pool.submit(site.terraform().apply, site.variables(seconds=30), Silent(), cancel)
        process = site.running()
        site.until_event("provision_progress")
        cancel.request()
        with pytest.raises(Interrupted, match="its state is saved"):
            apply.result(timeout=20)
    assert not process.alive and session(process) == ()
    assert '"Stopping operation..."' in site.folder.events.read_text()
    progress = RecordingProgress()
    site.terraform().recover(progress)
    assert (
        progress.notes == [] and len(site.terraform().resources()) == 3
    )  # started, in the state, to be created again
    site.terraform().apply(site.variables(), Silent(), Cancel())
    assert site.objects() == ALL


def test_second_ctrl_c_leaves_no_process(site: Site) -> None:
    cancel = Cancel()
    with ThreadPoolExecutor(1) as pool:
        apply = pool.submit(site.terraform().apply, site.variables(seconds=30), Silent(), cancel)
        process = site.running()
        site.until_event("provision_progress")
        cancel.request()
        cancel.request()
        with pytest.raises((Interrupted, StepError)):
            apply.result(timeout=20)
    assert not process.alive and session(process) == ()


@pytest.mark.parametrize("act", ["apply", "destroy"])
def test_existing_object_without_state_is_imported(tmp_path: Path, act: str) -> None:
    site = site_of("failing", tmp_path)
    site.terraform().apply({"status": 0}, Silent(), Cancel())
    assert site.terraform().resources() == ("terraform_data.ill", "terraform_data.well")
    runner = Runner(site.folder, find_binary())
    subprocess.run(
        [str(runner.binary.path), "state", "rm", f"-backup={tmp_path / 'backup'}", "terraform_data.well"],
        cwd=site.folder.work,
        env={**os.environ, **runner.environment()},
        check=True,
        capture_output=True,
    )
    assert site.terraform().resources() == ("terraform_data.ill",)
    site.folder.set_imports({"terraform_data.well": "some-id"})
    assert "terraform_data.well" in site.terraform().resources()
    getattr(site.terraform(), act)({"status": 0}, Silent(), Cancel())
    assert not site.folder.imports()
    left = ("terraform_data.ill", "terraform_data.well") if act == "apply" else ()
    assert site.terraform().resources() == left


def test_import_that_left_the_root_is_dropped(tmp_path: Path) -> None:
    site, progress = site_of("failing", tmp_path), RecordingProgress()
    site.folder.make()
    site.folder.set_imports({"terraform_data.no_more": "some-id"})
    with pytest.raises(CommandFailed, match="import target does not exist"):
        site.terraform().apply({"status": 0}, progress, Cancel())
    assert (
        "terraform_data.no_more (some-id) could not be imported; the next run does not try again"
        in progress.notes
    )
    site.terraform().apply({"status": 0}, Silent(), Cancel())
    assert site.terraform().resources() == ("terraform_data.ill", "terraform_data.well")
