"""References are resolved by a registry on loopback, in the REST API of MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mlops_platform.adapters.models import Registry
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.steps.models.options import reference_of
from mlops_platform.steps.models.registry import resolve

from tests.fakes.answering import answering

MODELS: dict[str, Any] = {
    "iris": {
        "latest_versions": [{"version": "3"}, {"version": "12"}],
        "aliases": [{"alias": "champion", "version": "2"}],
    },
    "single": {"latest_versions": [{"version": "1"}]},
    "empty": {},
}
VERSIONS = {
    ("iris", "2"): {"version": "2", "status": "READY"},
    ("iris", "12"): {"version": 12, "status": "READY"},
    ("iris", "3"): {"version": "3", "status": "PENDING_REGISTRATION", "status_message": "uploading"},
    ("single", "1"): {"version": "1", "status": "READY"},
}
ABSENT = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"})


def answer(target: str, token: str) -> tuple[int, str]:
    there = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(there.query).items()}
    status, found = content(there.path, query, token)
    return status, json.dumps(found)


def content(path: str, query: dict[str, str], token: str) -> tuple[int, Any]:
    if token != "Bearer good":
        return 403, {"message": "no right in this workspace"}
    if path == "/api/registered-models/get":
        found = MODELS.get(query["name"])
        return (200, {"registered_model": {"name": query["name"], **found}}) if found is not None else ABSENT
    if path != "/api/model-versions/get":
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "no such path"}
    version = VERSIONS.get((query["name"], query["version"]))
    return (200, {"model_version": version}) if version else ABSENT


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with answering(answer) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "version", "note"),
    [
        ("iris/2", "2", ""),
        ("iris@champion", "2", "alias champion is version 2"),
        ("iris", "12", "version 12 is the newest of several; name one: iris/VERSION"),
        ("single", "1", ""),
    ],
)
def test_reference_has_one_version(url: str, text: str, version: str, note: str) -> None:
    found = resolve(Registry(url, "/api", "good"), reference_of(text), "churn")
    assert (found.version, found.note) == (version, note)


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("flowers", "project churn has no model flowers", "no registered model"),
        ("iris/99", "model not found: iris version 99", "newest version is 12; its aliases: champion"),
        ("iris@canary", "model iris has no alias canary", "champion \\(version 2\\)"),
        ("iris/3", "iris version 3 is not READY", "PENDING_REGISTRATION: uploading"),
        ("empty", "model empty has no version", ""),
    ],
)
def test_model_that_cannot_be_served_is_refused_with_the_reason(
    url: str, text: str, what: str, why: str
) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        resolve(Registry(url, "/api", "good"), reference_of(text), "churn")
    assert why.replace("\\", "") in caught.value.why


def test_rejected_token_is_an_error_with_the_message_of_the_registry(url: str) -> None:
    with pytest.raises(StepError, match="answers 403") as caught:
        resolve(Registry(url, "/api", "wrong"), reference_of("iris"), "churn")
    assert caught.value.why == "no right in this workspace" and not caught.value.transient


def test_path_that_is_no_registry_is_an_error_and_no_missing_model(url: str) -> None:
    with pytest.raises(StepError, match="answers 404"):
        Registry(url, "/api/else", "good").model("iris")


def test_registry_that_does_not_answer_is_transient() -> None:
    with answering(answer) as gone:
        pass
    with pytest.raises(StepError, match="does not answer") as caught:
        Registry(gone, "/api", "good").model("iris")
    assert caught.value.transient
