"""The list of routes (helm-values/mlflow/routes.txt) is that of the MLflow in the image."""

from __future__ import annotations

import json

import pytest

from tests import ROOT
from tests.integration.images.test_shipped import Root, root

pytestmark = pytest.mark.integration

__all__ = ["root"]

# Flask's routes, and those of FastAPI, whose included routers keep theirs. A HEAD is as a GET.
LIST = """
import json, re
import uvicorn
from mlflow.server import app as flask
from mlflow.server.fastapi_app import app

def routes(found, prefix=""):
    for route in found:
        if hasattr(route, "original_router"):
            yield from routes(route.original_router.routes, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None):
            path = re.sub(r"{\\w+(:path)?}", lambda v: "<path:x>" if v[1] else "<x>", prefix + route.path)
            yield from ((method, path) for method in route.methods)
        else:
            assert route.path == "" and type(route).__name__ == "Mount", route  # Flask

seen = {*routes(app.routes)}
for rule in flask.url_map.iter_rules():
    path = re.sub(r"<(path:)?\\w+>", lambda v: "<path:x>" if v[1] else "<x>", rule.rule)
    seen |= {(method, path) for method in rule.methods - {"HEAD", "OPTIONS"}}
print(json.dumps(sorted(seen)))
"""


@pytest.mark.parametrize("root", ["mlflow"], indirect=True)
def test_every_route_of_the_image_is_in_the_list(root: Root) -> None:
    done = root.run("python3", "-c", LIST, env={"MLFLOW_ENABLE_WORKSPACES": "true"})
    installed = {(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])}
    listed: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for line in (ROOT / "helm-values/mlflow/routes.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            _, methods, path = line.split()
            paths = {path.replace("{api}", prefix) for prefix in ("/api", "/ajax-api")}
            for method in methods.split(","):
                listed[method, path] = {(method, each) for each in paths}
    assert len(installed) > 400
    without_rule = installed - set().union(*listed.values())
    assert not without_rule, "these routes need a line"
    assert not [line for line, routes in listed.items() if not routes & installed], "routes that are gone"
