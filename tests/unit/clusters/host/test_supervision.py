"""The lock shows a living supervisor, with real processes and a real kill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mlops_platform.adapters import process
from mlops_platform.adapters.process import ProcessId
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host.node.start import starts_of, still_up
from mlops_platform.clusters.host.node.supervision import DaemonState, Running, Supervision

from tests.unit.clusters.host.made import a_node


def test_lock_is_held_by_every_process_that_inherited_it(tmp_path: Path) -> None:
    supervision = Supervision(a_node(tmp_path))
    assert not supervision.alive()
    lock = supervision.take()
    assert lock is not None
    holder = process.spawn(["sleep", "60"], stdout=tmp_path / "log", pass_fds=(lock,))
    os.close(lock)
    try:
        assert supervision.alive()
        assert supervision.take() is None
        assert supervision.alive(), "the test must not take the lock"
        assert supervision.running() is None, "no process ids are recorded"
        identity = ProcessId.of(holder.pid)
        assert identity
        supervision.record(Running(identity, identity, 1.5))
        assert supervision.running() == Running(identity, identity, 1.5)
    finally:
        holder.kill()
        holder.wait()
    assert not supervision.alive()
    assert supervision.running() is None
    again = supervision.take()
    assert again is not None
    os.close(again)


def test_program_states_stay_until_forget(tmp_path: Path) -> None:
    supervision = Supervision(a_node(tmp_path))
    states = {"etcd": DaemonState(2, "killed by SIGKILL")}
    supervision.record_daemons(states)
    assert supervision.daemons() == states
    supervision.forget()
    assert supervision.daemons() == {}


def test_only_starts_during_the_wait_count(tmp_path: Path) -> None:
    """A program of a node that runs for months is restarted now and then."""
    node = a_node(tmp_path)
    supervision = Supervision(node)
    lock = supervision.take()
    assert lock is not None
    try:
        supervision.record_daemons({"kubelet": DaemonState(9, "killed by SIGKILL")})
        before = starts_of(supervision)
        supervision.record_daemons({"kubelet": DaemonState(12, "exit 1")})
        still_up(node, supervision, before)
        supervision.record_daemons({"kubelet": DaemonState(13, "exit 1")})
        with pytest.raises(StepError, match="kubelet does not stay up: exit 1, started 4 times"):
            still_up(node, supervision, before)
    finally:
        os.close(lock)
