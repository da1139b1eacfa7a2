"""The node that all tests of the host cluster share, and the state of the machine before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.host.world import QUIET, SECRET, World, claim, machine, namespace


@pytest.fixture(scope="package")
def before() -> dict[str, object]:
    return machine()


@pytest.fixture(scope="package")
def world(before: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A node with its add-ons, a `restricted` namespace, and a claim in it."""
    made = World.make("itest", tmp_path_factory.mktemp("host"))
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("SOME_TOKEN", SECRET)
            seconds = made.start()
        print(f"\nnode Ready from nothing in {seconds:.1f} s")  # `make bench` compares it with the target
        made.furnish()
        made.kube.apply(namespace("test"), claim("data"))
        yield made
    finally:
        made.provider.teardown.sweep(made.provider.teardown.inventory(), QUIET)
        made.provider.teardown.destroy_files(keep_data=False, progress=QUIET)
