"""Data of projects: each account of a project does what it may with its data, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
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
    import time

    found = store.exchange(store.token(MINE, seconds=600))
    assert found["Expiration"].timestamp() - time.time() <= 600
