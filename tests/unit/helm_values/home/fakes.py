"""The server of the home page over a fake cluster (tests/cases/home), for unit tests and the browser test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from tests import ROOT
from tests.unit.helm_values.pods import modules

FOLDER, CASES = ROOT / "helm-values/home", ROOT / "tests/cases/home"
NAMES = ("platform_limits", "platform_reviews", "platform_callers", "reading", "view", "page", "server")
SECRET = "the-proxy-secret"
MEMBERS = {"ann": {"churn", "vision"}, "bob": {"spam"}}  # with rights at the API server, besides groups
GROUPS = {"data-scientists": {"churn", "vision"}}


@contextmanager
def home_modules() -> Iterator[SimpleNamespace]:
    """The modules by name, as in the pod."""
    with modules(FOLDER, NAMES) as found:
        yield SimpleNamespace(**found)


class Cluster:
    """Answers from cluster.yaml; it counts what it is asked."""

    def __init__(self, unread: type[Exception]) -> None:
        self._unread, self.asked = unread, list[str]()
        self.data: dict[str, Any] = yaml.safe_load((CASES / "cluster.yaml").read_text())

    async def review(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        assert kind == "SubjectAccessReview", "no token is ever reviewed"
        self.asked.append(kind)
        wanted = spec["resourceAttributes"]
        assert (wanted["verb"], wanted["group"], wanted["resource"]) == (
            "get",
            "home.mlops-platform.io",
            "projects",
        )
        mine = MEMBERS.get(spec["user"], set()).union(*(GROUPS.get(each, set()) for each in spec["groups"]))
        return {"allowed": wanted["namespace"] in mine}

    async def read(self, path: str) -> dict[str, Any]:
        return self._answer("paths", path)

    async def search(self, path: str, project: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer("runs", f"{project} {path}")

    def _answer(self, kind: str, path: str) -> dict[str, Any]:
        self.asked.append(path)
        if path not in self.data[kind]:
            raise self._unread("the server answers 403")
        found: dict[str, Any] = self.data[kind][path]
        return found


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / "table.json").read_text())
    return found


def server(scripts: SimpleNamespace, secret: Path, cluster: Cluster) -> Any:
    """The server, which knows the proxy secret in this folder."""
    (secret / "value").write_text(SECRET)
    reviews = scripts.platform_reviews.Reviews(cluster, "home", scripts.page.GROUP)
    callers = scripts.platform_callers.Callers(reviews, secret)
    return scripts.server.Server(scripts.page.Page(table(), cluster, reviews), callers)


def person(name: str, *groups: str, secret: str = SECRET) -> dict[str, str]:
    """The headers of the gateway."""
    found = {"X-Forwarded-User": name, "X-Forwarded-Groups": ",".join(groups), "X-Platform-Proxy": secret}
    return {key: value for key, value in found.items() if value}
