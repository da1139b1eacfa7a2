"""Of the bucket, a request opens the part of its workspace only."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

ROOT = "s3://bucket/mlflow"


@pytest.mark.parametrize(
    ("path", "workspace", "allowed"),
    [
        ("workspaces/team-a/1/2/artifacts/x", "team-a", True),
        ("workspaces/team-a", "team-a", True),
        ("workspaces/team-ab/1", "team-a", False),
        ("workspaces/team-b/1", "team-a", False),
        ("workspaces", "team-a", False),
        ("1/2/artifacts", "team-a", False),
        ("workspaces/team-a/../team-b/1", "team-a", False),
        ("workspaces/team-a/./1", "team-a", False),
        ("workspaces//team-a/1", "team-a", False),
        ("", "team-a", False),
        ("1/2/artifacts", "default", True),
        ("workspaces/team-a/1", "default", False),
        ("workspaces", "default", False),
        ("x/../workspaces/team-a", "default", False),
        ("", "default", False),
        ("workspaces/team-a/1", None, False),
        ("workspaces//1", "", False),
    ],
)
def test_path_belongs_to_its_workspace_only(
    scripts: SimpleNamespace, path: str, workspace: str | None, allowed: bool
) -> None:
    assert scripts.places.inside(path, workspace) is allowed


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (ROOT, ""),
        (f"{ROOT}/", ""),
        (f"{ROOT}/workspaces/a", "workspaces/a"),
        (f"{ROOT}-2/workspaces/a", None),
        ("s3://bucket/other", None),
        ("s3://bucket", None),
        ("s3://user@bucket/mlflow/workspaces/a", None),
        ("S3://bucket/mlflow/workspaces/a", None),
    ],
)
def test_place_outside_of_the_bucket_has_no_path(
    scripts: SimpleNamespace, uri: str, path: str | None
) -> None:
    assert scripts.places.path_of(uri, ROOT) == path
