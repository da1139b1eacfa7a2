"""Answers of the home page: golden files, and nothing for others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests import GOLDEN
from tests.unit.helm_values.home.fakes import Cluster, person, server

ANN = person("ann", "data-scientists")
CHURN = "/v1/projects/churn"


class Home:
    """The server of one test, with its fake cluster."""

    def __init__(self, scripts: SimpleNamespace, secret: Path) -> None:
        self.cluster = Cluster(scripts.reading.Unread)
        self._app = server(scripts, secret, self.cluster).app

    def ask(self, *paths: str, **how: Any) -> list[tuple[int, Mapping[str, str], bytes]]:
        """Status, headers and body of each path, as ann without other headers."""

        async def whole() -> list[tuple[int, Mapping[str, str], bytes]]:
            found: list[tuple[int, Mapping[str, str], bytes]] = []
            async with TestClient(TestServer(self._app())) as client:
                for path in paths:
                    answer = await client.request(**{"method": "GET", "path": path, "headers": ANN, **how})
                    found.append((answer.status, answer.headers, await answer.read()))
            return found

        return asyncio.run(whole())


@pytest.fixture
def home(scripts: SimpleNamespace, tmp_path: Path) -> Home:
    return Home(scripts, tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "headers"),
    [
        ("overview-ann", "/v1/home", ANN),
        ("overview-viewer", "/v1/home", person("eve", "viewers")),
        ("project-churn", CHURN, ANN),
        ("project-vision", "/v1/projects/vision", ANN),
    ],
)
def test_answer_matches_the_golden_file(
    home: Home, golden: Callable[[Path, str], None], name: str, path: str, headers: dict[str, str]
) -> None:
    ((status, _, body),) = home.ask(path, headers=headers)
    assert status == 200
    golden(GOLDEN / f"home/{name}.json", json.dumps(json.loads(body), indent=1, ensure_ascii=False) + "\n")


def test_member_of_one_project_gets_403_for_another_and_the_cluster_is_not_read(home: Home) -> None:
    ((status, _, body),) = home.ask("/v1/projects/spam")
    assert status == 403 and b"may not get projects in project spam" in body
    assert home.cluster.asked == ["SubjectAccessReview"]


@pytest.mark.parametrize("name", ["..", "kube-system%2fx", "UPPER", "a" * 64, "%00"])
def test_name_that_no_project_has_reads_nothing(home: Home, name: str) -> None:
    ((status, _, _),) = home.ask(f"/v1/projects/{name}")
    assert status == 404 and home.cluster.asked == []


@pytest.mark.parametrize("path", ["/", "/home.js", "/v1/home", CHURN, "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        person("ann", "data-scientists", secret=""),
        person("ann", "data-scientists", secret="guess"),
        {"Authorization": "Bearer a.b.c"},
        {**ANN, "Authorization": "Bearer a.b.c"},
    ],
)
def test_request_that_is_not_the_gateways_gets_401(home: Home, path: str, headers: dict[str, str]) -> None:
    ((status, _, _),) = home.ask(path, headers=headers)
    assert status == 401 and home.cluster.asked == []


def test_group_of_the_cluster_gives_no_right(home: Home) -> None:
    ((status, _, _),) = home.ask("/v1/home", headers=person("ann", "system:masters"))
    assert status == 403 and home.cluster.asked == []


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_page_of_another_address_gets_no_answer(home: Home, site: str) -> None:
    ((status, _, _),) = home.ask("/v1/home", headers={**ANN, "Sec-Fetch-Site": site})
    assert status == 403 and home.cluster.asked == []


def test_request_with_a_body_or_another_method_is_refused(home: Home) -> None:
    ((with_body, _, _),) = home.ask("/v1/home", data=b"x" * 100)
    ((write, _, _),) = home.ask("/v1/home", method="POST")
    assert (with_body, write) == (413, 405)


def test_reloads_within_five_seconds_read_nothing_again(home: Home) -> None:
    home.ask("/v1/home", CHURN)
    once = len(home.cluster.asked)
    home.ask("/v1/home", CHURN, "/v1/home", CHURN)
    assert len(home.cluster.asked) == once


def test_cached_project_is_denied_to_another_person(home: Home) -> None:
    ((mine, _, _),) = home.ask(CHURN)
    ((of_bob, _, _),) = home.ask(CHURN, headers=person("bob", "viewers"))
    assert (mine, of_bob) == (200, 403)


def test_person_who_asks_too_often_gets_429_and_others_do_not(home: Home) -> None:
    statuses = [status for status, _, _ in home.ask(*(["/v1/home"] * 70))]
    assert statuses[:60] == [200] * 60 and 429 in statuses
    assert home.ask("/v1/home", headers=person("bob", "viewers"))[0][0] == 200


def test_files_forbid_inline_code_and_are_sent_once(home: Home) -> None:
    paths = ("/", "/home.css", "/home.js", "/icon.svg")
    answers = home.ask(*paths)
    assert sum(len(body) for _, _, body in answers) < 60_000
    for path, (status, headers, body) in zip(paths, answers, strict=True):
        assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        ((again, _, empty),) = home.ask(path, headers={**ANN, "If-None-Match": headers["ETag"]})
        assert (again, empty) == (304, b"")
    html = answers[0][2]
    assert b"<style" not in html and b" style=" not in html and b"<script>" not in html and b" on" not in html


def test_page_without_rights_says_what_it_does_not_know(home: Home) -> None:
    """ "None" and "not known" are two things."""
    home.cluster.data["paths"] = {}
    home.cluster.data["runs"] = {}
    overview, project = (json.loads(body) for _, _, body in home.ask("/v1/home", CHURN))
    assert {each["state"] for each in overview["uis"]} == {"unknown"}
    assert overview["projects"] == [] and overview["why"] == "the server answers 403"
    assert {each["why"] for each in project["lists"]} == {"the server answers 403"}
