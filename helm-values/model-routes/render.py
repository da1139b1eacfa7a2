"""nginx configuration of the routes: weighted upstreams, locations of models, lists of projects."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import groupby

from routes import Backend, Route

UPSTREAMS, LOCATIONS, READY = "upstreams.conf", "locations.conf", "ready.conf"
# Without routes, before the first list of models: the pod is not ready.
EMPTY = {UPSTREAMS: "", LOCATIONS: "", READY: "return 503;\n"}

_UPSTREAM = """\
upstream {name} {{
{zone}\
{servers}\
  keepalive 16;
  # Less than the five seconds after which Uvicorn closes an idle connection.
  keepalive_timeout 4s;
}}
"""
_MODEL = """\
location /{project}/{model}/ {{
  set $project {project};
{answered}\
  include /files/answer.conf;
  proxy_pass http://{project}.{model}/;
}}
"""
_WAITING = """\
location /{project}/{model}/ {{
  set $project {project};
  try_files /.none @waiting;
}}
"""
# Without it, nginx redirects to the path with a slash before it authorizes: a stranger would learn the name.
_EXACT = """\
location = /{project}/{model} {{
  set $project {project};
  try_files /.none @unknown;
}}
"""
_LIST = """\
location = /{project}/ {{
  set $project {project};
  include /files/answer.conf;
  root /tmp/routes/current;
  try_files /{project}.json @unknown;
}}
"""


def files(routes: Iterable[Route]) -> dict[str, str]:
    """All files of one configuration, by name."""
    routes = list(routes)
    found = {
        UPSTREAMS: "".join(_upstream(i, route) for i, route in enumerate(routes) if route.backends),
        LOCATIONS: "",
    }
    for project, group in groupby(routes, key=lambda route: route.project):
        its = list(group)
        found[f"{project}.json"] = json.dumps({"models": [_row(route) for route in its]}, indent=1) + "\n"
        found[LOCATIONS] += _LIST.format(project=project)
    found[LOCATIONS] += "".join(_location(i, route) for i, route in enumerate(routes))
    found[READY] = f'return 200 "{digest(found)}\\n";\n'
    return found


def digest(found: dict[str, str]) -> str:
    """A digest of the routes, without READY."""
    rest = {name: text for name, text in found.items() if name != READY}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _upstream(number: int, route: Route) -> str:
    several = len(route.backends) > 1
    servers = "".join(
        # A failed connection passes the request on; it must not end a predictor's share for seconds.
        f"  server {b.address} max_fails=0" + (f" weight={b.weight}" if several else "") + ";\n"
        for b in route.backends
    )
    name = f"{route.project}.{route.model}"
    # Workers share the split in a zone: 1,000 requests are split exactly.
    zone = f"  zone {name} 64k;\n" if several else ""
    return (_maps(number, route.backends) if several else "") + _UPSTREAM.format(
        name=name, zone=zone, servers=servers
    )


def _maps(number: int, backends: Iterable[Backend]) -> str:
    """Variables with the predictor that has answered: the last address, if a request was passed on."""
    found = ""
    for variable, key in (("predictor", "predictor"), ("source", "source")):
        lines = "".join(
            f'  "~(^|, ){re.escape(b.address)}$" "{getattr(b, key)}";\n' for b in backends if getattr(b, key)
        )
        found += f"map $upstream_addr ${variable}_{number} {{\n  default '';\n{lines}}}\n"
    return found


def _location(number: int, route: Route) -> str:
    names = {"project": route.project, "model": route.model}
    if not route.backends:
        return _EXACT.format(**names) + _WAITING.format(**names)
    if len(route.backends) > 1:
        predictor, source = f"$predictor_{number}", f"$source_{number}"
    else:
        predictor, source = route.backends[0].predictor, route.backends[0].source
    answered = f'  add_header X-Model-Predictor "{predictor}" always;\n'
    answered += f'  add_header X-Model-Source "{source}" always;\n' if source else ""
    return _EXACT.format(**names) + _MODEL.format(**names, answered=answered)


def _row(route: Route) -> dict[str, object]:
    total = sum(b.weight for b in route.backends)
    predictors = [
        {"name": b.predictor, "percent": round(100 * b.weight / total), "source": b.source}
        for b in route.backends
    ]
    return {"name": route.model, "predictors": predictors}
