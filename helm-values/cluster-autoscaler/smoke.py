"""Smoke test of the autoscaler: it finds the pools, its status is healthy, and debug pages are closed."""

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
    """Read its status; LookupError before its first loop: the previous pod may still hold the lease."""
    found = re.search(rf"^cluster_autoscaler_{re.escape(name)} (\S+)$", get("/metrics"), re.MULTILINE)
    if not found:
        raise LookupError(f"no metric {name}")
    return float(found[1])


def looked() -> float:
    count = metric(POOLS)
    if not count:
        raise LookupError("no pool found yet")
    return count


def probe(probes: Probes) -> None:
    read(probes)
    with probes.refused("its snapshot of every pod", HTTPError, "404"):
        get("/snapshotz")
    with probes.refused("a memory profile", HTTPError, "404"):
        get("/debug/pprof/heap")


def read(probes: Probes) -> None:
    with probes.works("it found the cluster's pools"):
        patiently(looked, OSError, LookupError)
    with probes.works("its cluster status is healthy, so it would scale"):
        assert metric(SAFE) == 1
    with probes.works("its last loop is recent and succeeded"):
        get("/health-check")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
