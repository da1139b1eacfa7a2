"""Reading of state files, and the reasons why a state counts as lost."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.terraform import state
from mlops_platform.adapters.terraform.events import EventLog
from mlops_platform.adapters.terraform.folder import Folder, Run
from mlops_platform.adapters.terraform.state import State, Unreadable
from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private

CASES = Path(__file__).parent / "cases"


def test_addresses_are_written_like_terraform_s() -> None:
    found = state.read(CASES / "modules.tfstate")
    assert isinstance(found, State)
    assert (found.serial, found.lineage) == (7, "d2c4d92a-7535-2c2d-cb04-fc69074af50e")
    assert found.outputs == {"name": "a", "pools": {"gpu": 2}, "password": "hidden"}
    assert found.resources == (
        "some_vpc.this",
        "some_subnet.this[0]",
        "some_subnet.this[1]",
        'module.pools["gpu a\\"10"].some_node_group.this["größe"]',
    )


@pytest.mark.parametrize(
    ("text", "why", "empty"),
    [
        ("", "empty", True),
        ("{", "JSONDecodeError", False),
        ("[]", "TypeError", False),
        ("null", "TypeError", False),
        ('{"version": 3, "serial": 1}', "state format 3 is not known", False),
        ('{"version": 4, "serial": 1}', "'lineage'", False),
        ('{"version": 4, "serial": 1, "lineage": "x", "resources": [{}]}', "'mode'", False),
        ('{"version": 4, "serial": 1, "lineage": "x", "outputs": []}', "", False),
    ],
)
def test_unreadable_state_is_not_an_empty_one(tmp_path: Path, text: str, why: str, empty: bool) -> None:
    (tmp_path / "s").write_text(text)
    found = state.read(tmp_path / "s")
    if why:
        assert isinstance(found, Unreadable) and why in found.why and found.empty is empty
    else:
        assert isinstance(found, State) and found.resources == ()


def test_state_that_is_not_utf8_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"\xff\xfe\x00")
    assert state.read(tmp_path / "s") == Unreadable("not text", empty=False)
    assert state.read(tmp_path / "none") is None


def test_lock_holder_is_the_pid_of_the_kernel_s_lock(tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfstate"
    path.touch()
    assert state.lock_holder(path) is None and state.lock_holder(tmp_path / "none") is None
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # a process's own lock never conflicts with itself
        with path.open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
    os.read(ready[0], 1)
    assert state.lock_holder(path) == child
    os.write(done[1], b"x")
    os.waitpid(child, 0)
    assert state.lock_holder(path) is None
    for end in (*ready, *done):
        os.close(end)


RUN: dict[str, Any] = {
    "operation": "apply",
    "digest": "",
    "boot": "",
    "since": "",
    "ended": "done",
    "lineage": "",
}


@pytest.mark.parametrize(
    ("text", "serial", "lost"),
    [
        (None, None, ""),  # never applied
        ("", None, ""),  # killed in the first apply: Terraform creates the file when it takes the lock
        ("", 3, "empty"),
        (None, 3, "it is not there"),
        ("{", None, "JSONDecodeError"),
        ('{"version": 4, "serial": 1, "lineage": "x"}', 3, ""),
    ],
)
def test_lost_state_has_a_reason(tmp_path: Path, text: str | None, serial: int | None, lost: str) -> None:
    folder = Folder(tmp_path, tmp_path)
    if text is not None:
        folder.state.write_text(text)
    folder.record(Run(**RUN, serial=serial))
    assert lost in folder.lost() and bool(lost) == bool(folder.lost())


def test_digest_covers_root_variables_and_binary_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "modules/a").mkdir(parents=True)
    (root / "main.tf").write_text("x")
    folder = Folder(root, tmp_path / "f")
    seen = {folder.digest({"a": 1, "b": 2}, "binary")}
    assert folder.digest({"b": 2, "a": 1}, "binary") in seen
    for rest in (".terraform/x", "terraform.tfstate", "terraform.tfstate.backup", "tests/a.tftest.hcl"):
        (root / rest).parent.mkdir(exist_ok=True)
        (root / rest).write_text("left by running the root by hand")
    assert folder.digest({"a": 1, "b": 2}, "binary") in seen
    for change in ("modules/a/main.tf", ".terraform.lock.hcl", "main.tf"):
        (root / change).write_text("y")
        seen.add(folder.digest({"a": 1, "b": 2}, "binary"))
    seen.add(folder.digest({"a": 1, "b": 3}, "binary"))
    seen.add(folder.digest({"a": 1, "b": 2}, "other"))
    assert len(seen) == 6


def test_record_is_read_back_unchanged(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path / "f")
    assert folder.run() is None
    folder.make()
    run = folder.begin("apply", "digest")
    assert folder.run() == run and run.ended == "" and run.serial is None
    folder.state.write_text(json.dumps({"version": 4, "serial": 9, "lineage": "l"}))
    folder.end(run, "done", EventLog())
    ended = folder.run()
    assert ended and (ended.ended, ended.serial, ended.lineage) == ("done", 9, "l")


@pytest.mark.parametrize(
    ("rescued", "ours", "ended", "taken"),
    [
        ((5, "a"), (4, "a"), "failed", True),
        ((5, "a"), (4, "a"), "", True),
        ((5, "a"), (4, "a"), "done", False),  # it is of an earlier run
        ((4, "a"), (4, "a"), "failed", False),
        ((5, "b"), (4, "a"), "failed", False),  # of another environment that shares the root
        ((1, "b"), None, "failed", True),  # the first apply: the lineage is not known yet
        (None, (4, "a"), "failed", False),
    ],
)
def test_errored_state_is_used_if_it_is_newer_and_ours(
    tmp_path: Path, rescued: Any, ours: Any, ended: Any, taken: bool
) -> None:
    folder = Folder(tmp_path / "root", tmp_path / "f")
    folder.root.mkdir()
    folder.make()
    run = folder.begin("apply", "digest")
    for path, known in ((folder.errored, rescued), (folder.state, ours)):
        if known:
            path.write_text(json.dumps({"version": 4, "serial": known[0], "lineage": known[1]}))
    folder.end(run, ended, EventLog())
    assert bool(folder.rescued()) is taken


def test_record_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(StepError, match="cannot be written") as caught:
        write_private(Path("/dev/full/record.json"), "x")
    assert "df -h" in caught.value.command
