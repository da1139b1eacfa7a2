"""Owns the environment the e2e tests share: brought up once, taken down and looked after at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import planted
from tests.e2e.names import known
from tests.e2e.platform import ALL, Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An environment that is up. Whatever the tests did to it, it must go down clean."""
    made = Platform.make("e2e", tmp_path_factory.mktemp("e2e"), components=ALL)
    try:
        made.ok("up", "--yes")
        yield made
    finally:
        made.ok("down", "--yes")
        planted.nowhere(planted.SEEN, planted.left(made.state))
        assert not made.state.exists() or {p.name for p in made.state.iterdir()} <= {
            "runs",
            "environment.yaml",
            "lock",
        }


@pytest.fixture(scope="session")
def machine(platform: Platform) -> Iterator[None]:
    """MLflow's clients of this process and of those it starts come as a machine the platform knows."""
    platform.ok("user", "add", "tests", "--machine", "--group", "data-scientists")
    token = platform.ok("token", "tests").out.strip()
    platform.ok("trust")
    with known(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_TOKEN", token)
        patched.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(platform.state / "authority.crt"))
        yield
