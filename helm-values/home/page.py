"""The two answers: every UI and project of a person, and what there is in one project."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import view
from platform_limits import Answers, Clock
from platform_reviews import Caller, Reviews
from reading import Content, Source, Unread

GROUP = "home.mlops-platform.io"
_VERB, _RESOURCE = "get", "projects"
_SECONDS, _MOST = 5.0, 2000  # reloads of many people cost the API server one request
_MOST_PROJECTS = 60  # on the page
_MOST_OBJECTS, _ROWS = 100, 10  # that are read, and shown
_EXPERIMENTS, _RUNS_TITLE = 200, "Last runs"
_SIGNED_IN = "system:authenticated"
_LABEL = "mlops-platform/project"

Table = Mapping[str, Any]


class Page:
    """Answers from the table of the installer and what is read; each read is kept for five seconds."""

    def __init__(self, table: Table, source: Source, reviews: Reviews, clock: Clock = time.monotonic) -> None:
        self._table, self._source, self._reviews = table, source, reviews
        # What the page shows, not what was read: an object may be large. Failures are kept too.
        self._kept: Answers[str, Any] = Answers(_SECONDS, _MOST, clock)

    async def overview(self, caller: Caller) -> Content:
        """All UIs that the person may open, and the projects of the person with their quota."""
        groups = [name for name in caller.groups if name != _SIGNED_IN]
        uis = [each for each in self._table["uis"] if set(each["groups"]) & set(groups)]
        states, (projects, why) = await asyncio.gather(
            asyncio.gather(*(self._ui_state(each) for each in uis)), self._projects(caller, groups)
        )
        return {
            "person": {"name": view.plain(caller.user), "groups": [view.plain(each) for each in groups]},
            "site": self._table["site"],
            "signOut": self._table["signOut"],
            "addProject": self._table["addProject"],
            "uis": [
                {
                    **{key: ui[key] for key in ("name", "summary", "version", "address", "login")},
                    "state": state,
                }
                for ui, state in zip(uis, states, strict=True)
            ],
            "projects": projects,
            "why": why,
        }

    async def project(self, caller: Caller, project: str) -> Content:
        """The lists of one project. Raises Denied (403) if the person is no member."""
        await self._reviews.require(caller, _VERB, _RESOURCE, project)
        shown = self._table["lists"]
        runs = [self._runs(project)] if self._table["runs"] else []
        lists = await asyncio.gather(*runs, *(self._list(each, project) for each in shown))
        commands = [
            {**each, "command": each["command"].replace("${project}", project)}
            for each in self._table["commands"]
        ]
        return {"lists": list(lists), "commands": commands}

    async def _ui_state(self, ui: Mapping[str, str]) -> str:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{ui['namespace']}/endpointslices"
        path += f"?labelSelector=kubernetes.io/service-name%3D{ui['service']}"

        async def read() -> str:
            try:
                return view.endpoints_state((await self._source.read(path)).get("items") or ())
            except Unread:
                return view.UNKNOWN

        state: str = await self._kept.get(path, read)
        return state

    async def _projects(self, caller: Caller, groups: list[str]) -> tuple[list[Content], str]:
        """The projects whose record names the person, if the API server agrees; or why they are not known."""
        records, why = await self._records()
        roles = {name: view.role_in(record, caller.user, groups) for name, record in records.items()}
        named = sorted(name for name, role in roles.items() if role)[:_MOST_PROJECTS]
        may = await asyncio.gather(*(self._reviews.allowed(caller, _VERB, _RESOURCE, name) for name in named))
        mine = [name for name, allowed in zip(named, may, strict=True) if allowed]
        quotas = await asyncio.gather(*(self._quota(name) for name in mine))
        return [
            {"name": name, "role": roles[name], "quota": quota}
            for name, quota in zip(mine, quotas, strict=True)
        ], why

    async def _records(self) -> tuple[dict[str, str], str]:
        """The record of members of each project; or why they are not known."""
        path = f"/api/v1/namespaces?labelSelector={quote(_LABEL)}"

        async def read() -> tuple[dict[str, str], str]:
            try:
                found = (await self._source.read(path)).get("items") or ()
            except Unread as error:
                return {}, str(error)
            metas = [each["metadata"] for each in found]
            return {m["name"]: (m.get("annotations") or {}).get(view.MEMBERS, "") for m in metas}, ""

        known: tuple[dict[str, str], str] = await self._kept.get(path, read)
        return known

    async def _quota(self, project: str) -> list[Content]:
        path = f"/api/v1/namespaces/{project}/resourcequotas/project"

        async def read() -> list[Content]:
            try:
                return view.quota_of(await self._source.read(path))
            except Unread:
                return []

        rows: list[Content] = await self._kept.get(path, read)
        return rows

    async def _list(self, shown: Mapping[str, str], project: str) -> Content:
        base = "/apis/" if "/" in shown["api"] else "/api/"
        path = f"{base}{shown['api']}/namespaces/{project}/{shown['resource']}?limit={_MOST_OBJECTS}"
        path += f"&labelSelector={quote(shown['labels'])}" if shown["labels"] else ""
        command = shown["command"].replace("${project}", project)

        async def read() -> Content:
            try:
                found = await self._source.read(path)
            except Unread as error:
                return _list_of(shown["title"], [], 0, command, str(error))
            items = found.get("items") or []
            count = len(items) + ((found.get("metadata") or {}).get("remainingItemCount") or 0)
            return _list_of(shown["title"], view.rows_of(shown, project, items, _ROWS), count, command)

        made: Content = await self._kept.get(path, read)
        return made

    async def _runs(self, project: str) -> Content:
        async def read() -> Content:
            try:
                rows = await self._last_runs(project)
            except Unread as error:
                return _list_of(_RUNS_TITLE, [], 0, "", str(error))
            return _list_of(_RUNS_TITLE, rows, len(rows), "")

        made: Content = await self._kept.get(f"runs of {project}", read)
        return made

    async def _last_runs(self, project: str) -> list[view.Row]:
        asked = {"max_results": _EXPERIMENTS, "order_by": ["creation_time DESC"]}
        found = await self._source.search("/experiments/search", project, asked)
        names = {each["experiment_id"]: each["name"] for each in found.get("experiments") or ()}
        if not names:
            return []
        wanted = {
            "experiment_ids": list(names),
            "max_results": _ROWS,
            "order_by": ["attributes.start_time DESC"],
        }
        runs = (await self._source.search("/runs/search", project, wanted)).get("runs") or ()
        return [view.run_row(self._table["runs"]["address"], project, run, names) for run in runs]


def _list_of(title: str, rows: list[view.Row], count: int, command: str, why: str = "") -> Content:
    return {"title": title, "rows": rows, "count": count, "command": command, "why": why}
