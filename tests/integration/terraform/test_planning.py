"""Plans list the changes of an apply, change nothing, and are applied as shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.adapters.terraform import find_binary
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, StepError
from mlops_platform.base.progress import Silent

from tests.integration.terraform.conftest import Site, site_of
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration


def contents(place: Path) -> dict[str, bytes]:
    return {str(f.relative_to(place)): f.read_bytes() for f in sorted(place.rglob("*")) if f.is_file()}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function that returns all command lines of the binary."""
    said, wrapper = tmp_path / "calls", tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>{said}\nexec {find_binary().path} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", str(wrapper))
    return said


def test_preview_of_new_environment_leaves_no_files(site: Site, calls: Path) -> None:
    root = contents(site.folder.root)
    found = site.terraform().preview(site.variables(), Silent(), Cancel())
    assert len(found.of("create")) == len(found.all) == 6 and found.all[0].type == "terraform_data"
    assert not site.folder.path.exists() and not site.objects()
    assert contents(site.folder.root) == root
    assert "show" not in calls.read_text()  # a plan that only creates needs no `show`


def test_preview_lists_destroyed_objects_and_changes_nothing(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    before = contents(site.folder.path)
    found = site.terraform().preview(site.variables(count=1), Silent(), Cancel())
    gone = [f"terraform_data.{rank}[{index}]" for rank in ("first", "second") for index in (1, 2)]
    assert [change.address for change in found.destroying] == gone
    assert {change.action for change in found.all} == {"destroy"}
    assert contents(site.folder.path) == before and len(site.objects()) == 6


def test_preview_uses_providers_of_the_last_run_unless_the_binary_changed(
    site: Site, calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    calls.unlink()
    site.terraform().preview(site.variables(count=4), Silent(), Cancel())
    assert "init" not in calls.read_text()
    other = tmp_path / "other"
    other.write_text((tmp_path / "wrapper").read_text() + "# newer\n")
    other.chmod(0o755)
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", str(other))
    before = contents(site.folder.path)
    found = site.terraform().preview(site.variables(count=4), Silent(), Cancel())
    assert "init" in calls.read_text() and len(found.of("create")) == len(found.all) == 2
    assert contents(site.folder.path) == before


def test_preview_without_changes_starts_no_terraform(site: Site, calls: Path) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    said = calls.read_text()
    assert site.terraform().preview(site.variables(), Silent(), Cancel()).all == ()
    assert calls.read_text() == said


def test_change_lists_its_attributes(site: Site) -> None:
    site.terraform().apply(site.variables(count=1), Silent(), Cancel())
    found = site.terraform().preview(site.variables(count=1, seconds=0.5), Silent(), Cancel())
    assert [(c.address, c.action, c.details) for c in found.all] == [
        ("terraform_data.first[0]", "update", ("input.S: 0 → 0.5",)),
        ("terraform_data.second[0]", "update", ("input.S: 0 → 0.5",)),
    ]


def test_apply_uses_the_saved_plan(site: Site, calls: Path) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    calls.unlink()
    terraform, progress = site.terraform(), RecordingProgress()
    planned = terraform.plan(site.variables(count=2), progress, Cancel())
    assert planned and len(planned.destroying) == len(planned.all) == 2
    assert site.folder.plan.stat().st_mode & 0o077 == 0 and len(site.objects()) == 6

    terraform.apply(site.variables(count=2), progress, Cancel())
    assert site.objects() == {f"{rank}-{index}" for rank in ("first", "second") for index in (0, 1)}
    words = [line.split()[0] for line in calls.read_text().splitlines()]
    assert [w for w in words if w != "version"] == ["plan", "show", "apply"]
    assert str(site.folder.plan) in calls.read_text().splitlines()[-1]
    assert not site.folder.plan.exists()
    assert progress.fractions[-1][:2] == (2, 2)
    assert site.terraform().unchanged(site.variables(count=2))


def test_stale_plan_is_an_error_and_nothing_is_applied(site: Site) -> None:
    """The user agreed to the saved plan, not to later changes."""
    site.terraform().apply(site.variables(), Silent(), Cancel())
    terraform = site.terraform()
    assert terraform.plan(site.variables(count=1), Silent(), Cancel())
    site.terraform().apply(site.variables(count=2), Silent(), Cancel())  # another command line
    there = site.objects()
    with pytest.raises(StepError) as caught:
        terraform.apply(site.variables(count=1), Silent(), Cancel())
    assert caught.value.transient and "stale" in caught.value.what
    assert site.objects() == there and not site.folder.plan.exists()
    site.terraform().apply(site.variables(count=1), Silent(), Cancel())
    assert site.objects() == {"first-0", "second-0"}


def test_declined_plan_is_discarded(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    terraform = site.terraform()
    assert terraform.plan(site.variables(count=1), Silent(), Cancel())
    terraform.discard_plan()
    assert not site.folder.plan.exists() and site.terraform().unchanged(site.variables())


def test_no_plan_is_saved_without_a_state(site: Site) -> None:
    assert site.terraform().plan(site.variables(), Silent(), Cancel()) is None


def test_error_of_a_plan_has_the_reason(tmp_path: Path) -> None:
    site = site_of("objects", tmp_path)
    with pytest.raises(CommandFailed) as caught:
        site.terraform().preview(site.variables() | {"count_of_each": "many"}, Silent(), Cancel())
    assert "plan: Invalid value for input variable" in caught.value.what and "number" in caught.value.why
