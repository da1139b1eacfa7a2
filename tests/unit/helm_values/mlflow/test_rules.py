"""Every route of MLflow has a rule: a right, open, or refused."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import yaml

from tests.unit.helm_values.mlflow.conftest import FOLDER

RIGHTS = (
    {("experiments", verb) for verb in ("get", "update", "delete")}
    | {
        (resource, verb)
        for resource in ("registeredmodels", "webhooks")
        for verb in ("get", "update", "delete")
    }
    | {("workspaces", verb) for verb in ("list", "get", "create", "delete")}
)


def example(path: str) -> str:
    """A path of this route."""
    return path.replace("<path:x>", "some/place").replace("<x>", "1a2b")


def test_every_line_names_a_known_right(scripts: SimpleNamespace) -> None:
    assert len(scripts.table.routes) > 400
    for route in scripts.table.routes:
        rule = route.rule
        known = (rule.resource, rule.verb) in RIGHTS or (not rule.resource and rule.verb in ("open", "login"))
        assert known or rule == scripts.rules.REFUSED, route


def test_every_route_gets_its_own_rule(scripts: SimpleNamespace) -> None:
    """A pattern above it in the file could match its path first."""
    for route in scripts.table.routes:
        assert scripts.table.match(route.method, example(route.path)).rule == route.rule, route


def test_no_route_is_listed_twice(scripts: SimpleNamespace) -> None:
    seen = [(route.method, route.path) for route in scripts.table.routes]
    assert len(seen) == len(set(seen))


def test_list_is_of_the_pinned_version(scripts: SimpleNamespace) -> None:
    """A new version of MLflow needs a new list (tests/integration/images/test_mlflow_routes.py)."""
    version = yaml.safe_load((FOLDER / "component.yaml").read_text())["version"]
    said = re.match(r"# Every route of MLflow (\S+),", (FOLDER / "routes.txt").read_text())
    assert said and said[1] == version


def test_only_four_routes_need_no_identity(scripts: SimpleNamespace) -> None:
    free = {(r.method, r.path) for r in scripts.table.routes if r.rule == scripts.rules.OPEN}
    assert free == {
        ("GET", "/health"),
        ("GET", "/version"),
        ("GET", "/api/3.0/mlflow/server-info"),
        ("GET", "/ajax-api/3.0/mlflow/server-info"),
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/metrics"),
        ("OPTIONS", "/api/2.0/mlflow/runs/get"),
        ("POST", "/api/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/runs/get/"),
        ("GET", "/API/2.0/mlflow/runs/get"),
        ("GET", "/x/api/2.0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/runs/get\n"),
        ("POST", "/api/2.0mlflow/experiments/search-datasets"),
        ("PATCH", "/api/3.0/mlflow/workspaces/team-a"),
        ("GET", "/api/3.0/mlflow/traces/one/two/three"),
    ],
)
def test_what_no_line_allows_is_refused(scripts: SimpleNamespace, method: str, path: str) -> None:
    assert scripts.table.match(method, path).rule == scripts.rules.REFUSED


def test_head_needs_what_get_needs(scripts: SimpleNamespace) -> None:
    path = "/api/2.0/mlflow/runs/get"
    assert scripts.table.match("HEAD", path) == scripts.table.match("GET", path)


def test_workspace_of_a_path_is_found(scripts: SimpleNamespace) -> None:
    assert scripts.table.match("DELETE", "/api/3.0/mlflow/workspaces/team-a").segments == ("team-a",)
