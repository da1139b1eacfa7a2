"""Recovery: no object is lost if the command line or Terraform is killed, or the state is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.terraform import Terraform, find_binary
from mlops_platform.adapters.terraform.runner import Runner, recorded_process, session
from mlops_platform.adapters.terraform.state import State, lock_file, lock_holder
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, LockedError, StepError
from mlops_platform.base.progress import Progress, Silent

from tests.integration.terraform.conftest import Site
from tests.integration.terraform.test_terraform import ALL
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration

SECONDS = 0.15
SEED = int(os.environ.get("SEED", "20261124"))


def moments(count: int) -> list[float]:
    """Moments within the second that two ranks of objects take."""
    chosen = random.Random(SEED)
    return [round(chosen.uniform(0.0, 0.6), 3) for _ in range(count)]


def killed(site: Site, act: Callable[[], Any], moment: float) -> bool:
    """Run `act` and kill its Terraform `moment` seconds after its start; False if it ended earlier."""
    before = recorded_process(site.folder)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(act)
        process, until = site.running(after=before), time.monotonic() + moment
        wait_until(
            "the moment",
            lambda: True if time.monotonic() >= until else Pending("too early"),
            seconds=10,
            first_delay=0.001,
            longest_delay=0.002,
        )
        hit = process.kill(signal.SIGKILL)
        if not isinstance(result.exception(timeout=30), StepError):
            return False
    return hit


def killed_at_work(site: Site) -> None:
    """Kill an apply after it started to create the objects of the first rank."""
    with ThreadPoolExecutor(1) as pool, site.held():
        result = pool.submit(lambda: site.terraform().apply(site.variables(), Silent(), Cancel()))
        site.until_event("apply_start")
        assert site.running().kill(signal.SIGKILL)
        assert isinstance(result.exception(timeout=60), StepError)


def check_kills(site: Site, moment: float) -> None:
    variables = site.variables(seconds=SECONDS)
    hit = killed(site, lambda: site.terraform().apply(variables, Silent(), Cancel()), moment)
    progress = RecordingProgress()
    terraform = site.terraform()
    assert hit != terraform.unchanged(variables)
    terraform.recover(progress)
    # After a kill between Terraform's summary and its end all objects are there.
    assert not hit or any("was killed" in note or "ended by itself" in note for note in progress.notes)
    known = {a.removeprefix("terraform_data.").replace("[", "-").rstrip("]") for a in terraform.resources()}
    made = Counter(site.made())
    assert known <= set(made)  # the objects in the state exist
    outputs = terraform.apply(variables, progress, Cancel())
    assert set(outputs["names"]) == ALL == site.objects() and terraform.unchanged(variables)
    # Only objects that were in no state were created twice, and never at the same time.
    assert Counter(site.made()) == made + Counter(ALL - known)
    assert not (site.things / "overlaps").exists()

    # Quick commands, so that kills also hit Terraform between its own steps.
    hit = killed(site, lambda: site.terraform().destroy(variables, Silent(), Cancel()), moment)
    terraform = site.terraform()
    if hit:
        terraform.recover(progress)
    if terraform.resources():
        terraform.destroy(variables, progress, Cancel())
    assert site.objects() == set() and terraform.resources() == ()
    assert not lock_file(site.folder.state).exists()
    leader = recorded_process(site.folder)
    assert leader and session(leader) == ()


@pytest.mark.parametrize("moment", moments(3))
def test_recovery_from_a_kill_at_any_moment(site: Site, moment: float) -> None:
    check_kills(site, moment)


@pytest.mark.soak
@pytest.mark.parametrize("moment", moments(20))
def test_recovery_from_kills_at_many_moments(site: Site, moment: float) -> None:
    print(f"SEED={SEED} moment={moment}")
    check_kills(site, moment)


def kill_client(site: Site, act: str, seconds: float) -> None:
    """Kill a command line while its Terraform runs."""
    arguments = [
        act,
        str(site.folder.root),
        str(site.folder.path),
        json.dumps(site.variables(seconds=seconds)),
    ]
    before = recorded_process(site.folder)
    client = subprocess.Popen([sys.executable, "-m", "tests.integration.terraform.client", *arguments])
    site.running(after=before)
    site.until_event("provision_progress")
    client.kill()
    client.wait()


@contextmanager
def joined(site: Site, progress: RecordingProgress) -> Iterator[Terraform]:
    """Yield while a Terraform runs without its command line; then join it."""
    terraform = site.terraform()
    with ThreadPoolExecutor(1) as pool:
        with site.held():
            yield terraform
            recover = pool.submit(terraform.recover, progress)
            wait_until("joining", lambda: bool(progress.notes) or Pending("no note"), seconds=60)
        recover.result(timeout=120)


def test_apply_of_a_killed_command_line_is_joined(site: Site) -> None:
    progress = RecordingProgress()
    with joined(site, progress) as terraform:
        kill_client(site, "apply", seconds=0.0)
        process = site.running()
        assert process.alive  # it still runs
        assert not terraform.unchanged(site.variables())
        assert terraform.resources() != ()  # `down` must not treat this as empty
    assert progress.notes[0].startswith("joined") and f"pid {process.pid}" in progress.notes[0]
    assert progress.notes[1].endswith("ended by itself after our command line was killed")
    assert progress.fractions[-1][:2] == (6, 6)
    assert site.objects() == ALL and Counter(site.made()) == Counter(ALL)
    assert terraform.unchanged(site.variables())
    terraform.apply(site.variables(), Silent(), Cancel())
    assert Counter(site.made()) == Counter(ALL)


def test_joined_terraform_can_be_interrupted(site: Site) -> None:
    kill_client(site, "apply", seconds=30)
    process, cancel = site.running(), Cancel()
    with ThreadPoolExecutor(1) as pool:
        recover = pool.submit(site.terraform().recover, Silent(), cancel)
        cancel.request()
        with pytest.raises(Interrupted):
            recover.result(timeout=20)
    assert not process.alive and len(site.terraform().resources()) == 3


def test_destroy_of_a_killed_command_line_is_joined(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    progress = RecordingProgress()
    with joined(site, progress) as terraform:
        kill_client(site, "destroy", seconds=0.0)
        assert terraform.resources() != ()
    assert terraform.resources() == () and site.objects() == set()
    assert not terraform.unchanged(site.variables())


def test_lock_of_a_dead_terraform_is_released_with_a_note(site: Site) -> None:
    killed_at_work(site)
    assert lock_file(site.folder.state).exists()
    progress = RecordingProgress()
    site.terraform().recover(progress)
    assert any(note.startswith("released the state lock of ") for note in progress.notes)
    assert not lock_file(site.folder.state).exists()


def test_terraform_run_by_hand_is_an_error_and_not_disturbed(site: Site) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    runner = Runner(site.folder, find_binary())
    argv = runner.argv(
        "apply", auto_approve=True, var_file=str(site.folder.variables), replace="terraform_data.first[0]"
    )
    site.folder.variables.write_text(json.dumps(site.variables(seconds=60)))
    by_hand = subprocess.Popen(
        argv,
        cwd=site.folder.root,
        env={**os.environ, **runner.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("its lock", lambda: lock_holder(site.folder.state) or Pending("free"), seconds=20)
        with pytest.raises(LockedError, match=f"pid {by_hand.pid}") as caught:
            site.terraform().recover(Silent())
        assert "apply" in caught.value.why
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait(20)
    site.terraform().apply(site.variables(), Silent(), Cancel())
    assert site.objects() == ALL


@pytest.mark.parametrize("rest", ["", '{"version": 4, "ser'], ids=["empty", "cut off"])
def test_lost_state_is_restored_from_its_backup(site: Site, rest: str) -> None:
    site.terraform().apply(site.variables(count=2), Silent(), Cancel())
    site.terraform().apply(site.variables(count=3), Silent(), Cancel())
    site.folder.state.write_text(rest)
    terraform, progress = site.terraform(), RecordingProgress()
    assert not terraform.unchanged(site.variables()) and terraform.resources() != ()
    terraform.recover(progress)
    assert any("is restored from its backup" in note for note in progress.notes)
    # The backup is older than the last run, whose events have the missing objects.
    lacking = [note for note in progress.notes if "is in no state" in note]
    assert terraform.resources() and len(terraform.resources()) + len(lacking) == 6
    terraform.apply(site.variables(), progress, Cancel())
    assert len(terraform.resources()) == 6 and site.objects() == ALL


@pytest.mark.parametrize("rest", ["", "garbage", None])
def test_lost_state_without_a_backup_is_an_error(site: Site, rest: str | None) -> None:
    site.terraform().apply(site.variables(), Silent(), Cancel())
    site.folder.backup.unlink(missing_ok=True)
    if rest is None:
        site.folder.state.unlink()
    else:
        site.folder.state.write_text(rest)
    for act in ("apply", "destroy"):
        with pytest.raises(StepError, match="the Terraform state is lost") as caught:
            getattr(site.terraform(), act)(site.variables(), Silent(), Cancel())
    assert len(site.made()) == 6  # no object was created twice
    subprocess.run(caught.value.command, shell=True, check=True)
    assert site.terraform().resources() == ()


@dataclass(frozen=True)
class Elsewhere:
    """A remote state whose `import_ids` finds the objects in `there`."""

    file: Path
    there: Mapping[str, str]
    where: str = "elsewhere"

    def config(self) -> Mapping[str, str | bool]:
        return {"path": str(self.file)}

    def read(self) -> str | None:
        return self.file.read_text() if self.file.exists() else None

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def lock(self) -> str | None:
        return None

    def unlock(self, lock: str) -> None: ...

    def import_ids(
        self, addresses: Sequence[str], progress: Progress, cancel: Cancel | None = None
    ) -> Mapping[str, str]:
        return {address: id_ for address, id_ in self.there.items() if address in addresses}

    def left_behind(self, known: Sequence[str]) -> Mapping[str, str]:
        return {}


@pytest.mark.parametrize("said", [True, False], ids=["made", "started"])
@pytest.mark.parametrize("before", ["whole", "tainted"])
@pytest.mark.parametrize("now", ["another id", "the same id"])
def test_object_replaced_after_the_last_state_is_imported(
    site: Site, said: bool, before: str, now: str
) -> None:
    """A Terraform killed before it saves the state leaves the destroyed object in it, at the address of the
    replacement that it created or had started to create."""
    address = "terraform_data.first[1]"
    site.terraform().apply(site.variables(), Silent(), Cancel())
    text = json.loads(site.folder.state.read_text())
    first = next(each for each in text["resources"] if each["name"] == "first")["instances"][1]
    if before == "tainted":
        first["status"] = "tainted"
        site.folder.state.write_text(json.dumps(text))
    id_ = "new" if now == "another id" else first["attributes"]["id"]
    folder = replace(site.folder, remote=Elsewhere(site.folder.state, {address: id_}))
    folder.begin("apply", "")
    hook = {"resource": {"addr": address}, "elapsed_seconds": 1, "id_value": id_}
    folder.events.write_text(
        "".join(
            json.dumps({"type": kind, "@message": kind, "hook": {**hook, "action": action}}) + "\n"
            for kind, action in [
                ("apply_start", "delete"),
                ("apply_complete", "delete"),
                ("apply_start", "create"),
                *([("apply_complete", "create")] if said else []),
            ]
        )
    )
    Terraform(folder.root, folder.path, folder.remote).recover(Silent())
    found = folder.read()
    assert isinstance(found, State)
    imported = now == "another id" or (said and before == "tainted")
    assert folder.imports() == ({address: id_} if imported else {})
    assert (address in found.resources) is not imported and len(found.resources) == 6 - imported


def test_object_of_a_failed_creation_is_imported(site: Site) -> None:
    """A provider that is interrupted before it knows the id leaves the object out of the saved state."""
    site.terraform().apply(site.variables(count=2), Silent(), Cancel())
    (site.things / "object-second-2").mkdir()
    with pytest.raises(CommandFailed):
        site.terraform().apply(site.variables(count=3), Silent(), Cancel())
    text = json.loads(site.folder.state.read_text())
    second = next(each for each in text["resources"] if each["name"] == "second")
    second["instances"] = [each for each in second["instances"] if each["index_key"] != 2]
    site.folder.state.write_text(json.dumps(text))
    there = {"terraform_data.second[2]": "new", "terraform_data.first[0]": "not asked for"}
    folder = replace(site.folder, remote=Elsewhere(site.folder.state, there))
    progress = RecordingProgress()
    for _ in range(2):  # it is found and noted once
        Terraform(folder.root, folder.path, folder.remote).recover(progress)
        assert folder.imports() == {"terraform_data.second[2]": "new"} and len(progress.notes) == 1


def test_truncated_first_state_is_moved_aside(site: Site) -> None:
    """Terraform writes the file in place, so that a kill can truncate it."""
    killed_at_work(site)
    site.folder.state.write_text('{"version": 4, "serial": 1, "lin')
    progress = RecordingProgress()
    site.terraform().recover(progress)
    assert any("the first state was truncated" in note for note in progress.notes)
    site.terraform().apply(site.variables(), Silent(), Cancel())
    assert site.objects() == ALL
