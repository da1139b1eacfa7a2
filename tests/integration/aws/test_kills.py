"""Kills and interrupts at random moments: the next run continues, and every object is in the state."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from mlops_platform.base.errors import Exit

from tests.fakes.aws import Account
from tests.integration.aws.made import folder_of, interrupted, killed, orphans, recover, up
from tests.integration.aws.world import Machine

pytestmark = pytest.mark.integration
SEED = int(os.environ.get("SEED", "20261124"))
SMALL = {"network_policy": "standard", "nat": "none"}
WHOLE = {"network_policy": "standard", "nat": "one", "object_store": "s3"}


def story(machine: Machine, name: str, chance: random.Random) -> None:
    """Interrupt `up`, kill `up`, kill `down`, each followed by a new run; nothing is lost or left."""
    stopped = interrupted(machine, name, chance, "up", "--only", "cluster", "--yes")
    assert stopped.code in (Exit.INTERRUPTED, Exit.DONE)
    remote = folder_of(machine, name).remote
    assert remote and remote.lock() is None
    assert remote.read() or not stopped.ended, "its state was saved"
    recover(name)  # an object whose creation was interrupted may exist without an id in the state
    assert orphans(machine, name) == set(), f"after a Ctrl-C: {stopped}"
    stopped = killed(machine, name, chance, "up", "--only", "cluster", "--yes")
    said = up(machine, name)
    assert said.code == 0, said.envelope
    assert orphans(machine, name) == set(), f"after a kill: {stopped}"
    stopped = killed(machine, name, chance, "down", "--yes", "--allow-data-loss")
    down = machine.down(name)
    assert down.code == 0, down.envelope
    assert orphans(machine, name) == set(), f"after a kill of down: {stopped}"


def test_kill_of_up_and_of_down_loses_nothing(account: Account, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Machine(account, tmp_path).used() as machine:
        machine.write("staging", **SMALL)
        story(machine, "staging", chance)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(20))
def test_kills_at_random_moments_lose_nothing(account: Account, tmp_path: Path, number: int) -> None:
    print(f"SEED={SEED} number={number}")
    chance = random.Random(SEED + number)
    with Machine(account, tmp_path).used() as machine:
        machine.write("staging", "postgres", **WHOLE)
        story(machine, "staging", chance)
