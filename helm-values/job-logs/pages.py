"""Pages of the reader for people: projects, their jobs, the logs of a job. They have no script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from aiohttp import web

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_INCOMPLETE = "(the pod was deleted before its log was read to the end)"
_STYLE = "body{font:16px sans-serif;margin:2em}td,th{text-align:left;padding:.2em 1em .2em 0}"


def _page(title: str, body: str) -> web.Response:
    text = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>
<h1>{escape(title)}</h1>
{body}
</html>
"""
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def _link(path: str, text: str) -> str:
    return f'<a href="{escape(path)}">{escape(text)}</a>'


def _list(links: Iterable[str], empty: str) -> str:
    rows = "".join(f"<li>{link}</li>\n" for link in links)
    return f"<ul>\n{rows}</ul>" if rows else f"<p>{escape(empty)}</p>"


def projects(names: Iterable[str]) -> web.Response:
    links = (_link(f"/projects/{name}", name) for name in names)
    return _page("Logs of jobs", _list(links, "There are no logs in your projects."))


def jobs(project: str, names: Iterable[str]) -> web.Response:
    links = (_link(f"/projects/{project}/{name}", name) for name in names)
    return _page(f"Jobs of {project}", _list(links, "No job has a log."))


def job(project: str, name: str, found: Iterable[Mapping[str, Any]]) -> web.Response:
    rows = "".join(_row(project, name, log) for log in found)
    head = "<tr><th>pod<th>container<th>bytes<th>end<th>log</tr>"
    return _page(f"{project}: {name}", f"<table>{head}\n{rows}</table>" if rows else "<p>No log.</p>")


def _row(project: str, name: str, log: Mapping[str, Any]) -> str:
    path = f"/v1/projects/{project}/jobs/{name}/pods/{log['pod']}/containers/{log['container']}"
    end = "" if log["end"] is None else f"{log['end'].get('reason', '')} {log['end'].get('exitCode', '')}"
    end += "" if (log["end"] or {}).get("complete", True) else f" {_INCOMPLETE}"
    cells = (escape(log["pod"]), escape(log["container"]), str(log["bytes"]), escape(end))
    links = f"{_link(path, 'whole')} {_link(f'{path}?tail=100', 'last 100 lines')}"
    return f"<tr>{''.join(f'<td>{cell}' for cell in (*cells, links))}</tr>\n"
