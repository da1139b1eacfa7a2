"""The environment that the e2e tests share: `up` once, `down` and a search for leftovers at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import secret_search
from tests.e2e.names import local_names
from tests.e2e.platform import ALL, Platform

WORKSPACE = "outside"


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An environment that is up. `down` must remove it completely after the tests."""
    made = Platform.make("e2e", tmp_path_factory.mktemp("e2e"), components=ALL)
    try:
        made.ok("up", "--yes")
        yield made
    finally:
        made.ok("down", "--yes")
        secret_search.assert_absent(secret_search.SEEN, secret_search.run_files(made.state))
        assert not made.state.exists() or {p.name for p in made.state.iterdir()} <= {
            "runs",
            "environment.yaml",
            "lock",
        }


@pytest.fixture(scope="session")
def machine(platform: Platform) -> Iterator[None]:
    """MLflow clients of this process and its children log in as a machine user, a member of a project."""
    platform.ok("user", "add", "tests", "--machine", "--group", "data-scientists")
    platform.ok("project", "add", WORKSPACE, "--member", "user/tests:edit", "--member", "user/ada:view")
    token = platform.ok("token", "tests").out.strip()
    platform.ok("trust")
    with local_names(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_TOKEN", token)
        patched.setenv("MLFLOW_WORKSPACE", WORKSPACE)
        patched.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(platform.state / "authority.crt"))
        yield
