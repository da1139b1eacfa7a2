"""Figures of the network policies, measured by pods of a test node."""

from __future__ import annotations

import statistics
from pathlib import Path

from bench.figures import Figure
from tests.integration.host.policies import DENY, GUARDED, OPEN_EGRESS, OPEN_INGRESS, TO_WEB_ONLY
from tests.integration.host.traffic import first_connections, latencies, listener
from tests.integration.host.world import QUIET, World, namespace

CHANGES, STARTS = 20, 100


def enforcement(folder: Path) -> list[Figure]:
    """Policies that are applied and removed behind a default deny, then starting pods."""
    world = World.make("bench-firewall", folder)
    try:
        world.start()
        world.furnish()
        world.kube.apply(namespace(GUARDED), DENY, OPEN_EGRESS)
        web, client = listener(world, GUARDED, "web"), listener(world, GUARDED, "client")
        took = latencies(world, client, web.address, OPEN_INGRESS, CHANGES)
        world.kube.delete(OPEN_EGRESS["apiVersion"], OPEN_EGRESS["kind"], "out", GUARDED)
        world.kube.apply(*TO_WEB_ONLY)
        client.settles({(web.address, 8080): True, (web.address, 9090): False})
        seen = first_connections(world, GUARDED, web.address, STARTS)
    finally:
        world.provider.teardown.sweep(world.provider.teardown.inventory(), QUIET)
        world.provider.teardown.destroy_files(keep_data=False, progress=QUIET)
    return [
        Figure("policy applied to enforced", statistics.median(took) * 1000, "ms", 100),
        Figure("the slowest of them", max(took) * 1000, "ms"),
        Figure(f"free packets in {STARTS} pod starts", seen.free, "", 0),
        Figure(f"packets lost in {STARTS} pod starts", seen.lost, "", 0),
    ]
