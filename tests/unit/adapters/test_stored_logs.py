"""Stored logs are read from a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from mlops_platform.adapters.stored_logs import StoredLog, StoredLogs
from mlops_platform.base.errors import StepError

from tests.fakes.answering import answering

LOGS = {"logs": [{"pod": "fit-1", "container": "node"}, {"pod": "fit-0", "container": "node"}]}
ANSWERS = {
    "/v1/projects/churn/jobs": (200, json.dumps({"jobs": ["fit"]})),
    "/v1/projects/churn/jobs/fit": (200, json.dumps(LOGS)),
    "/v1/projects/churn/jobs/fit/pods/fit-0/containers/node": (200, "one\ntwo\nlast"),
    "/v1/projects/churn/jobs/fit/pods/fit-0/containers/node?tail=1": (200, "last\n"),
    "/v1/projects/other/jobs/fit": (403, json.dumps({"error": "no right"})),
    "/v1/projects/churn/jobs/broken": (503, "<html>"),
}


def answer(path: str, token: str) -> tuple[int, str]:
    return ANSWERS.get(path, (404, '{"error": "nothing"}')) if token == "Bearer good" else (401, "{}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with answering(answer) as found:
        yield found


def test_logs_of_a_job_are_listed_and_read(url: str) -> None:
    logs = StoredLogs(url, "churn", "good")
    assert logs.jobs() == ["fit"]
    assert [str(each) for each in logs.logs("fit")] == ["fit-0/node", "fit-1/node"]
    assert list(logs.lines("fit", StoredLog("fit-0", "node"))) == ["one", "two", "last"]
    assert list(logs.lines("fit", StoredLog("fit-0", "node"), tail=1)) == ["last"]


def test_job_without_logs_has_none(url: str) -> None:
    assert StoredLogs(url, "churn", "good").logs("unknown") == []


@pytest.mark.parametrize(
    ("project", "token", "job", "status", "why"),
    [
        ("other", "good", "fit", 403, "no right"),
        ("churn", "wrong", "fit", 401, "{}"),
        ("churn", "good", "broken", 503, "<html>"),
    ],
)
def test_refusal_is_an_error_with_the_reason(
    url: str, project: str, token: str, job: str, status: int, why: str
) -> None:
    with pytest.raises(StepError, match=f"answer {status}") as caught:
        StoredLogs(url, project, token).logs(job)
    assert caught.value.why == why
    assert caught.value.transient is (status == 503)


def test_missing_log_is_an_error(url: str) -> None:
    with pytest.raises(StepError, match="answer 404"):
        list(StoredLogs(url, "churn", "good").lines("fit", StoredLog("fit-9", "node")))


def test_server_that_is_gone_is_a_transient_error() -> None:
    with answering(answer) as gone:
        pass
    with pytest.raises(StepError, match="do not answer") as caught:
        StoredLogs(gone, "churn", "good").jobs()
    assert caught.value.transient
