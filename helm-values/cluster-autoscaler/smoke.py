"""Owns the proof of the autoscaler: it sees the pools, trusts what it sees, and tells little else."""

from __future__ import annotations

import os
import re
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

from probes import Probes, patiently

URL = os.environ["URL"]
# https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/proposals/metrics.md
POOLS = 'node_groups_count{node_group_type="autoscaled"}'
SAFE = "cluster_safe_to_autoscale"


def get(path: str) -> str:
    with urlopen(URL + path, timeout=10) as answer:  # noqa: S310 - http:// to a pod of ours
        return str(answer.read().decode())


def metric(name: str) -> float:
    """LookupError until it has looked for the first time: the one before it may still hold the lease."""
    found = re.search(rf"^cluster_autoscaler_{re.escape(name)} (\S+)$", get("/metrics"), re.MULTILINE)
    if not found:
        raise LookupError(f"{name} is not told")
    return float(found[1])


def looked() -> float:
    count = metric(POOLS)
    if not count:
        raise LookupError("no pool found yet")
    return count


def probe(probes: Probes) -> None:
    read(probes)
    with probes.refused("what it knows of every pod", HTTPError, "404"):
        get("/snapshotz")
    with probes.refused("its memory, by a profile", HTTPError, "404"):
        get("/debug/pprof/heap")


def read(probes: Probes) -> None:
    with probes.works("it has found the cluster's pools"):
        patiently(looked, OSError, LookupError)
    with probes.works("it holds what it sees of the nodes for true, and would act on it"):
        assert metric(SAFE) == 1
    with probes.works("its last look at them is not long ago, and went well"):
        get("/health-check")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
