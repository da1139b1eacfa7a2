"""Smoke test of the runtime `torch`: two nodes add their ranks in a collective operation."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create, delete, get, require_condition
from probes import Probes, patiently

API = "trainer.kubeflow.org/v1alpha1"
# Every process must see the sum over all of them, or it fails and with it the job.
PROGRAM = """\
import torch, torch.distributed as group
group.init_process_group("gloo")
value = torch.tensor([float(group.get_rank() + 1)])
group.all_reduce(value)
assert (group.get_world_size(), value.item()) == (2, 3.0), (group.get_world_size(), value)
"""
RUN = "printf '%s' \"$PROGRAM\" > /tmp/program.py && exec python3 -m torch.distributed.run /tmp/program.py"


def trainjob(name: str) -> dict[str, Any]:
    trainer = {
        "numNodes": 2,
        "numProcPerNode": 1,
        "command": ["sh", "-c", RUN],
        "env": [{"name": "PROGRAM", "value": PROGRAM}],
    }
    return {
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": "torch"}, "trainer": trainer},
    }


def probe(probes: Probes) -> None:
    with probes.works("two nodes of PyTorch add their ranks"):
        patiently(lambda: create(API, "trainjobs", trainjob("sum")), Refused)
        patiently(lambda: require_condition(get(API, "trainjobs", "sum"), "Complete"), NotYetError)
        delete(API, "trainjobs", "sum")


if __name__ == "__main__":
    running = Probes()
    if "probe" in sys.argv[1:]:  # it keeps no data, so there is nothing to write or to read
        probe(running)
    running.end()
