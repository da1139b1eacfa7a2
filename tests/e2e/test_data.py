"""Data of projects: each account of a project does what it may with its data, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.forward import forward

from tests import ROOT
from tests.e2e.data import DataStore, forged, outcome
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

MINE, OTHER = "alpha", "beta"
CASES = ROOT / "tests" / "cases" / "data"
CALLS: dict[str, list[dict[str, Any]]] = yaml.safe_load((CASES / "calls.yaml").read_text())
TOKENS: list[dict[str, Any]] = yaml.safe_load((CASES / "tokens.yaml").read_text())


@pytest.fixture(scope="module")
def projects(platform: Platform) -> Iterator[None]:
    for name in (MINE, OTHER):
        platform.ok("project", "add", name)
    yield
    for name in (MINE, OTHER):
        platform.ok("project", "remove", name, "--yes")


@pytest.fixture(scope="module")
def store(platform: Platform, projects: None) -> Iterator[DataStore]:
    kube = Kube(platform.state / "kubeconfig")
    with forward(kube, "minio", "service/minio", 9000) as address:
        made = DataStore(kube, f"http://{address}")
        for name in (MINE, OTHER):
            s3 = made.s3(made.exchange(made.token(name)))
            for key in ("own", "folder/own"):
                s3.put_object(Bucket=f"project-{name}", Key=key, Body=b"x")
        yield made


@pytest.fixture(scope="module")
def keys(store: DataStore) -> Any:
    """Credentials of an account of the first project."""
    return cache(lambda account: store.exchange(store.token(MINE, account)))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{about}-{i}") for about, cases in CALLS.items() for i, case in enumerate(cases)],
)
def test_account_may_what_the_case_says(store: DataStore, keys: Any, case: dict[str, Any]) -> None:
    arguments = dict(case.get("with", {}))
    if case["call"] != "list_buckets":
        arguments = {"Bucket": f"project-{MINE}", **arguments}
    s3 = store.s3(keys(case["as"]), case.get("headers", {}))
    seen, answer = outcome(s3, case["call"], arguments, presigned=case.get("presigned", False))
    expected = case["gets"]
    assert seen in (expected if isinstance(expected, list) else [expected])
    if "buckets" in case:
        assert [each["Name"] for each in answer["Buckets"]] == case["buckets"]


@pytest.mark.parametrize("case", TOKENS, ids=lambda case: case["name"])
def test_token_is_exchanged_or_refused(store: DataStore, case: dict[str, Any]) -> None:
    token = case.get("token") or store.token(
        case.get("namespace", MINE), case.get("account", "trainer"), case.get("audience", "minio")
    )
    if "forged" in case:
        token = forged(token, case["forged"])
    if "signature" in case:
        token = token[:-10] + "AAAAAAAAAA"
    if case["gets"] == "ok":
        found = store.exchange(token, **case.get("with", {}))
        if foreign := case.get("cannot_read"):
            assert (
                outcome(store.s3(found), "get_object", {"Bucket": foreign, "Key": "own"})[0] == "AccessDenied"
            )
        return
    with pytest.raises(ClientError, match=case["gets"]):
        store.exchange(token, **case.get("with", {}))


def test_credentials_end_with_the_token(store: DataStore) -> None:
    found = store.exchange(store.token(MINE, seconds=600))
    assert found["Expiration"].timestamp() - time.time() <= 600


def names(platform: Platform, project: str) -> list[str]:
    data = platform.ok("project", "data", "list", "--project", project, "--output", "json").envelope["data"]
    return [each["key"] for each in data["files"]]


def test_files_go_and_come_back_by_the_command_line(
    platform: Platform, projects: None, tmp_path: Path
) -> None:
    source, back = tmp_path / "train", tmp_path / "back"
    (source / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (source / name).write_text(name)
    for unchanged in (False, True):
        put = platform.ok("project", "data", "put", str(source), "--project", MINE, "--output", "json")
        assert [each["unchanged"] for each in put.envelope["data"]["files"]] == [unchanged] * 2
    assert {"train/a", "train/sub/b"} <= set(names(platform, MINE))
    platform.ok("project", "data", "get", "train", "--project", MINE, "--to", str(back))
    assert {file.relative_to(back).as_posix() for file in back.rglob("*") if file.is_file()} == {"a", "sub/b"}


def test_removed_project_ends_credentials_and_keeps_data_only_if_told(
    platform: Platform, store: DataStore, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    platform.ok("project", "add", "gone")
    platform.ok("project", "data", "put", str(file), "--project", "gone")
    s3 = store.s3(store.exchange(store.token("gone", "server")))
    read = {"Bucket": "project-gone", "Key": "file"}
    assert outcome(s3, "get_object", read)[0] == "ok"
    platform.ok("project", "remove", "gone", "--yes", "--keep-data")
    assert outcome(s3, "get_object", read)[0] == "AccessDenied"
    platform.ok("project", "add", "gone")
    assert names(platform, "gone") == ["file"]
    platform.ok("project", "remove", "gone", "--yes")
    platform.ok("project", "add", "gone")
    assert names(platform, "gone") == []
    platform.ok("project", "remove", "gone", "--yes")
