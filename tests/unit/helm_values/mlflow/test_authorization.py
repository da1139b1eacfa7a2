"""Decisions about requests (tests/cases/mlflow/authorization.yaml), and the load that callers cause."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from tests import ROOT

CASES = yaml.safe_load((ROOT / "tests/cases/mlflow/authorization.yaml").read_text())
SECRET = "the-proxy-secret"
WORKSPACES = ["default", "team-a", "team-b"]
READ = {("get", "experiments"), ("get", "registeredmodels")}
EDIT = READ | {(verb, what) for verb in ("update", "delete") for what in ("experiments", "registeredmodels")}
# Rights by user or group, and namespace; '' is the whole cluster.
RIGHTS = {
    ("system:serviceaccount:team-a:trainer", "team-a"): EDIT,
    ("team-b-members", "team-b"): EDIT,
    ("team-a-viewers", "team-a"): READ,
    ("platform-admins", "default"): READ,
    ("system:serviceaccount:mlflow:platform-jobs", ""): {("create", "workspaces"), ("delete", "workspaces")},
}


def token(subject: str, audience: object = ("mlflow",), seconds: float = 600, alg: str = "RS256") -> str:
    claims = {"sub": subject, "aud": audience, "exp": time.time() + seconds}
    parts = [json.dumps({"alg": alg}), json.dumps(claims), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


TRAINER, JOBS = "system:serviceaccount:team-a:trainer", "system:serviceaccount:mlflow:platform-jobs"
TOKENS = {
    "team-a": token(TRAINER),
    "jobs": token(JOBS),
    "for-vault": token(TRAINER, ["vault"]),
    "ended": token(TRAINER, seconds=-61),
    "unsigned": token(TRAINER, alg="none"),
    "certificate": token("kubernetes-admin"),
    "forged": token("system:serviceaccount:team-b:trainer"),
    "old-server": token("system:serviceaccount:old:trainer"),
    "outage": token("system:serviceaccount:outage:trainer"),
}


@dataclass
class Api:
    """Answers reviews from RIGHTS and TOKENS."""

    denied: Any
    asked: list[tuple[str, Any]] = field(default_factory=list)
    down: bool = False

    async def review(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((kind, spec))
        await asyncio.sleep(0)
        if self.down or spec.get("token") == TOKENS["outage"]:
            raise self.denied(503, "no answer")
        return self._token(spec["token"]) if kind == "TokenReview" else self._access(spec)

    def _token(self, given: str) -> dict[str, Any]:
        name = next((name for name, each in TOKENS.items() if each == given), "")
        if name == "old-server":  # it knows no audiences, and answers for its own
            return {"authenticated": True, "user": {"username": TRAINER}}
        if name not in ("team-a", "jobs"):
            return {"authenticated": False, "error": "wrong"}
        user = {"username": {"team-a": TRAINER, "jobs": JOBS}[name], "groups": ["system:authenticated"]}
        return {"authenticated": True, "audiences": ["mlflow"], "user": user}

    def _access(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        wanted = spec["resourceAttributes"]
        assert wanted["group"] == "mlflow.mlops-platform.io"
        names = [spec["user"], *spec["groups"]]
        right = (wanted["verb"], wanted["resource"])
        may = any(right in RIGHTS.get((name, wanted["namespace"]), ()) for name in names)
        return {"allowed": may or bool({"system:masters", "kubeadm:cluster-admins"} & set(names))}


@dataclass
class Server:
    """MLflow behind the authorization: `got` are the requests that it gets."""

    scripts: SimpleNamespace
    folder: Path
    got: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "value").write_text(SECRET)
        self.api = Api(self.scripts.limits.Denied)
        # Time stands still: on a slow machine an answer would be asked for again.
        reviews = self.scripts.reviews.Reviews(
            self.api, "mlflow", "mlflow.mlops-platform.io", clock=lambda: 0.0
        )
        callers = self.scripts.callers.Callers(reviews, self.folder, clock=lambda: 0.0)
        self._guarded = self.scripts.authorization.Authorization(
            self._app, self.scripts.table, callers, reviews
        )

    async def _app(self, scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
        self.got.append(scope)
        body = json.dumps({"workspaces": [{"name": name} for name in WORKSPACES]}).encode()
        headers = [(b"content-length", b"%d" % len(body)), (b"x-of", b"mlflow")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": body[5:]})

    async def ask(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], address: str = "10.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[Mapping[str, Any]] = []

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        async def receive() -> Mapping[str, Any]:
            raise AssertionError("the body is MLflow's to read")

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "headers": headers,
            "client": (address, 1234),
        }
        await self._guarded(scope, receive, send)
        start, *rest = sent
        body = b"".join(message["body"] for message in rest)
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        assert int(found["content-length"]) == len(body)
        return start["status"], found, body


@pytest.fixture
def server(scripts: SimpleNamespace, tmp_path: Path) -> Server:
    return Server(scripts, tmp_path)


def headers_of(case: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    found: dict[str, list[str]] = {}
    if "token" in case:
        found["Authorization"] = [f"Bearer {TOKENS[case['token']]}"]
    if "authorization" in case:
        found["Authorization"] = [case["authorization"]]
    if "person" in case:
        found["X-Forwarded-User"], found["X-Forwarded-Groups"] = [case["person"]], [case["groups"]]
        if secret := case.get("secret", SECRET):
            found["X-Platform-Proxy"] = [secret]
    if "workspace" in case:
        given = case["workspace"]
        found["X-MLFLOW-WORKSPACE"] = given if isinstance(given, list) else [given]
    for name, values in case.get("headers", {}).items():
        found[name] = values
    return [(name.encode(), value.encode("latin-1")) for name, values in found.items() for value in values]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_request_is_decided_as_the_case_says(server: Server, case: Mapping[str, Any]) -> None:
    method, _, path = case["request"].partition(" ")
    status, headers, body = asyncio.run(server.ask(method, path, headers_of(case)))
    if "status" in case:
        assert (status, server.got) == (case["status"], []), body
        assert set(json.loads(body)) == {"error_code", "message"}
    else:
        assert status == 200 and headers["x-of"] == "mlflow", body
        given = {name.decode().lower(): value.decode() for name, value in server.got[0]["headers"]}
        assert given.get("x-mlflow-workspace", "") == case.get("passed", "")
        kept = {"authorization", "x-platform-proxy", "x-forwarded-user", "x-forwarded-groups"} & set(given)
        assert not kept, "MLflow gets no identity"
    if "listed" in case:
        assert [each["name"] for each in json.loads(body)["workspaces"]] == case["listed"]
    if "reviews" in case:
        assert len(server.api.asked) == case["reviews"]


def test_headers_with_underscores_do_not_reach_mlflow(server: Server) -> None:
    """A WSGI program reads X_MLFLOW_WORKSPACE as X-MLFLOW-WORKSPACE."""
    headers = [*headers_of({"token": "team-a"}), (b"X_Mlflow_Workspace", b"team-b"), (b"accept", b"*/*")]
    asyncio.run(server.ask("GET", "/api/2.0/mlflow/runs/get", headers))
    assert server.got[0]["headers"] == [(b"accept", b"*/*"), (b"x-mlflow-workspace", b"team-a")]


def test_thousand_requests_cost_two_reviews(server: Server) -> None:
    async def run() -> None:
        headers = headers_of({"token": "team-a"})
        for _ in range(10):
            await asyncio.gather(
                *(server.ask("POST", "/api/2.0/mlflow/runs/log-metric", headers) for _ in range(100))
            )

    asyncio.run(run())
    assert [kind for kind, _ in server.api.asked] == ["TokenReview", "SubjectAccessReview"]


def test_flood_of_wrong_tokens_does_not_reach_the_api_server(server: Server) -> None:
    """From one address; pods at other addresses are served."""

    async def run() -> None:
        async def one(i: int) -> int:
            headers = headers_of({"authorization": f"Bearer {token(f'system:serviceaccount:x:{i}')}"})
            return (await server.ask("GET", "/api/2.0/mlflow/runs/get", headers, "10.0.0.66"))[0]

        statuses = await asyncio.gather(*(one(i) for i in range(500)))
        assert set(statuses) == {401, 429} and statuses.count(401) == len(server.api.asked) == 10
        right = headers_of({"token": "team-a"})
        assert (await server.ask("GET", "/api/2.0/mlflow/runs/get", right, "10.0.0.7"))[0] == 200

    asyncio.run(run())


def test_same_wrong_token_is_reviewed_once(server: Server) -> None:
    async def run() -> None:
        headers = headers_of({"token": "forged"})
        for _ in range(100):
            assert (await server.ask("GET", "/api/2.0/mlflow/runs/get", headers))[0] == 401

    asyncio.run(run())
    assert len(server.api.asked) == 1


def test_old_value_of_the_proxy_secret_counts_during_a_rotation_only(server: Server) -> None:
    def status(value: str) -> int:
        forwarded = {"x-platform-proxy": [value], "x-forwarded-user": ["ann"]}
        return asyncio.run(server.ask("GET", "/", headers_of({"headers": forwarded})))[0]

    (server.folder / "value").write_text("new")
    assert [status(each) for each in ("new", SECRET)] == [200, 401]
    (server.folder / "previous").write_text(SECRET)
    assert [status(each) for each in ("new", SECRET, "guess")] == [200, 200, 401]
    (server.folder / "previous").unlink()
    assert [status(each) for each in ("new", SECRET)] == [200, 401]


def test_flood_through_the_gateway_is_counted_by_its_source(server: Server) -> None:
    async def run() -> None:
        async def one(source: str, bearer: str) -> int:
            forwarded = {"x-platform-proxy": [SECRET], "x-forwarded-for": [source]}
            headers = headers_of({"authorization": f"Bearer {bearer}", "headers": forwarded})
            return (await server.ask("GET", "/version-of", headers, "10.0.0.9"))[0]

        bad = [await one("192.0.2.1", token(f"system:serviceaccount:x:{i}")) for i in range(30)]
        assert bad[-1] == 429
        assert await one("192.0.2.2", TOKENS["forged"]) == 401

    asyncio.run(run())


def test_search_for_workspaces_is_limited(server: Server) -> None:
    """Each unknown name costs a review: a caller has so many, and keeps its own workspace."""

    async def run() -> None:
        path = "/api/2.0/mlflow/runs/get"
        own = headers_of({"token": "team-a"})
        assert (await server.ask("GET", path, own))[0] == 200
        found = [
            (await server.ask("GET", path, headers_of({"token": "team-a", "workspace": f"w{i}"})))[0]
            for i in range(100)
        ]
        assert set(found) == {403, 429} and found.count(403) == 30
        assert (await server.ask("GET", path, own))[0] == 200

    asyncio.run(run())


def test_outage_of_the_api_server_is_not_kept(server: Server) -> None:
    async def run() -> None:
        server.api.down = True
        headers = headers_of({"token": "team-a"})
        for _ in range(50):
            assert (await server.ask("GET", "/api/2.0/mlflow/runs/get", headers))[0] == 503
        server.api.down = False
        assert (await server.ask("GET", "/api/2.0/mlflow/runs/get", headers))[0] == 200

    asyncio.run(run())


def test_outage_during_a_list_of_workspaces_is_503(server: Server) -> None:
    async def run() -> None:
        person = headers_of({"person": "ada", "groups": "platform-admins"})
        server.api.down = True
        assert (await server.ask("GET", "/api/3.0/mlflow/workspaces", person))[0] == 503

    asyncio.run(run())


def test_websocket_is_closed(server: Server) -> None:
    async def run() -> list[Mapping[str, Any]]:
        sent = []

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await server._guarded({"type": "websocket", "path": "/", "headers": []}, None, send)
        return sent

    assert asyncio.run(run()) == [{"type": "websocket.close", "code": 1008}] and not server.got
