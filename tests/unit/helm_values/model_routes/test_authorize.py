"""Answers to nginx about callers (tests/cases/model-routes/authorization.yaml)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests import ROOT

CASES = yaml.safe_load((ROOT / "tests/cases/model-routes/authorization.yaml").read_text())
SECRET = "the-proxy-secret"
TRAINER = "system:serviceaccount:churn:trainer"


def token(audience: str, signature: str) -> str:
    claims = {"sub": TRAINER, "aud": [audience], "exp": time.time() + 600}
    parts = [json.dumps({"alg": "RS256"}), json.dumps(claims), signature]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


TOKENS = {
    "right": token("models", "signature"),
    "forged": token("models", "forged"),
    "foreign": token("mlflow", "signature"),
}


class Api:
    """The API server: one token is right, and three subjects may read models in `churn`."""

    def __init__(self, denied: Any) -> None:
        self._denied, self.asked = denied, list[str]()

    async def review(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(kind)
        if kind == "TokenReview":
            assert spec["audiences"] == ["models"]
            if spec["token"] != TOKENS["right"]:
                return {"authenticated": False}
            return {"authenticated": True, "audiences": ["models"], "user": {"username": TRAINER}}
        wanted = spec["resourceAttributes"]
        assert (wanted["verb"], wanted["group"], wanted["resource"]) == (
            "get",
            "serving.kserve.io",
            "inferenceservices",
        )
        if spec["user"] == "outage":
            raise self._denied(503, "no answer")
        subjects = {spec["user"], *spec["groups"]}
        return {
            "allowed": wanted["namespace"] == "churn" and bool(subjects & {TRAINER, "bob", "data-scientists"})
        }


def headers(case: Mapping[str, Any]) -> dict[str, tuple[bytes, ...]]:
    """The headers that nginx sends; with a user those of the gateway."""
    given = {
        "x-real-ip": "10.0.0.1",
        "x-project": case.get("project"),
        "x-forwarded-user": case.get("user"),
        "x-forwarded-groups": case.get("groups"),
        "authorization": f"Bearer {TOKENS[case['token']]}" if "token" in case else case.get("authorization"),
    }
    if case.get("secret", "right" if "user" in case else ""):
        given["x-platform-proxy"] = SECRET if case.get("secret", "right") == "right" else case["secret"]
    return {name: (value.encode(),) for name, value in given.items() if value}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answer_matches_the_case(scripts: SimpleNamespace, tmp_path: Path, case: Mapping[str, Any]) -> None:
    (tmp_path / "value").write_text(SECRET)
    api = Api(scripts.platform_limits.Denied)
    reviews = scripts.platform_reviews.Reviews(api, "models", "serving.kserve.io")
    callers = scripts.platform_callers.Callers(reviews, tmp_path)
    status, answer = asyncio.run(scripts.authorize.Authorizer(callers, reviews).answer(headers(case)))
    assert (status, answer.get("X-Denied"), answer.get("X-Caller"), len(api.asked)) == (
        case["status"],
        str(case["denied"]) if "denied" in case else None,
        case.get("caller"),
        case["reviews"],
    )
    for value in answer.values():
        assert json.loads(f'"{value}"') and value.isascii() and value.isprintable()
