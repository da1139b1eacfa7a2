"""The reader: logs as text, gaps, and nothing without the right."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.unit.helm_values.job_logs.conftest import Objects, load

reader, stored, limits = load("reader"), load("stored"), load("platform_limits")
POD = "churn/fit/fit-abcde/main/"
LOG = "/v1/projects/churn/jobs/fit/pods/fit-abcde/containers/main"


class Callers:
    """A user is named by the header, and is a member of the project `churn`."""

    async def caller(self, headers: Any, _: str) -> Any:
        if "authorization" not in headers:
            raise limits.Denied(401, "no token")
        return SimpleNamespace(user="ann")

    async def allowed(self, caller: Any, verb: str, resource: str, project: str) -> bool:
        return project == "churn"

    async def require(self, caller: Any, verb: str, resource: str, project: str) -> None:
        assert (caller.user, verb, resource) == ("ann", "get", "logs")
        if project != "churn":
            raise limits.Denied(403, "no member")


def ask(store: Objects, *paths: str, **headers: str) -> list[tuple[int, bytes]]:
    """Status and body of each path."""

    async def whole() -> list[tuple[int, bytes]]:
        app = reader.Reader(stored.Bucket(client=store), Callers(), Callers()).app()
        async with TestClient(TestServer(app)) as client:
            answers = [await client.get(path, headers=headers) for path in paths]
            return [(answer.status, await answer.read()) for answer in answers]

    return asyncio.run(whole())


def line(text: str) -> bytes:
    return f"2026-11-29T17:00:00.000000000Z {text}\n".encode()


@pytest.fixture
def full(store: Objects) -> Objects:
    first, last = line("first") + line("second"), line("third") + line("with  spaces")
    store.objects = {
        stored.key_of(POD, 0): first,
        stored.key_of(POD, len(first)): last,
        f"{POD}done.json": b'{"exitCode": 1}',
        stored.key_of("churn/fit/fit-abcde/second/", 0): line("x"),
        stored.key_of("churn/other/other-1/main/", 0): line("x"),
        stored.key_of("secret/fit/fit-abcde/main/", 0): line("secret"),
    }
    return store


def test_jobs_and_their_logs_are_listed(full: Objects) -> None:
    jobs, job = ask(full, "/v1/projects/churn/jobs", "/v1/projects/churn/jobs/fit", Authorization="x")
    assert json.loads(jobs[1]) == {"jobs": ["fit", "other"]}
    main, second = json.loads(job[1])["logs"]
    assert (main["pod"], main["container"], main["end"]) == ("fit-abcde", "main", {"exitCode": 1})
    assert main["bytes"] == len(line("first") + line("second") + line("third") + line("with  spaces"))
    assert (second["container"], second["end"]) == ("second", None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b"first\nsecond\nthird\nwith  spaces\n"),
        ("?tail=1", b"with  spaces\n"),
        ("?tail=3", b"second\nthird\nwith  spaces\n"),
        ("?tail=99", b"first\nsecond\nthird\nwith  spaces\n"),
        ("?timestamps=true&tail=1", line("with  spaces")),
    ],
)
def test_log_is_text(full: Objects, query: str, expected: bytes) -> None:
    assert ask(full, LOG + query, Authorization="x") == [(200, expected)]


def test_gap_is_named_in_the_log(store: Objects) -> None:
    store.objects = {stored.key_of(POD, 0): line("a"), stored.key_of(POD, 1000): line("b")}
    missing = 1000 - len(line("a"))
    text = f"a\n[{missing} bytes (with timestamps) are missing: the log exceeded its limit]\nb\n".encode()
    assert ask(store, LOG, Authorization="x") == [(200, text)]


def test_rest_of_a_long_line_is_kept_as_it_is(store: Objects) -> None:
    store.objects = {stored.key_of(POD, 0): line("a") + b"rest of a line\n"}
    assert ask(store, LOG, Authorization="x") == [(200, b"a\nrest of a line\n")]


def test_container_without_output_has_an_empty_log(store: Objects) -> None:
    store.objects = {f"{POD}done.json": b"{}"}
    assert ask(store, LOG, Authorization="x") == [(200, b"")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/projects/secret/jobs/fit", 403),
        ("/v1/projects/secret/jobs/fit/pods/fit-abcde/containers/main", 403),
        ("/v1/projects/churn/jobs/..%2f..%2fsecret", 400),
        ("/v1/projects/churn/jobs/fit/pods/..%2f..%2f..%2fsecret%2ffit/containers/main", 400),
        ("/v1/projects/churn%2f..%2fsecret/jobs", 400),
        ("/v1/projects/churn/jobs/missing", 404),
        (LOG + "x", 404),
        (LOG + "?tail=-1", 400),
        (LOG + "?tail=x", 400),
        ("/v1/projects", 404),
        ("/projects/secret", 403),
        ("/projects/secret/fit", 403),
    ],
)
def test_wrong_request_is_refused(full: Objects, path: str, status: int) -> None:
    ((found, body),) = ask(full, path, Authorization="x")
    assert (found, b"secret\n" in body) == (status, False)


def test_pages_show_own_projects_and_escape_names(full: Objects) -> None:
    full.objects["churn/fit/a<b>/main/done.json"] = b'{"exitCode": 1, "reason": "<Error>"}'
    front, project, job = ask(full, "/", "/projects/churn", "/projects/churn/fit", Authorization="x")
    assert b'<a href="/projects/churn">churn</a>' in front[1]
    assert b"secret" not in front[1]
    assert b'<a href="/projects/churn/other">other</a>' in project[1]
    assert f'<a href="{LOG}">whole</a>'.encode() in job[1]
    assert b"&lt;Error&gt; 1" in job[1]
    assert b"<b>" not in job[1]


def test_request_without_a_caller_is_refused(full: Objects) -> None:
    assert {status for status, _ in ask(full, "/v1/projects/churn/jobs", LOG, "/")} == {401}
    assert ask(full, "/healthz") == [(200, b"ok\n")]
