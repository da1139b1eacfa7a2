"""Stored logs of jobs, by the HTTP API of the component that keeps them (docs/training.md, Reader)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from mlops_platform.base.errors import StepError

_CONNECT_SECONDS, _READ_SECONDS, _LONGEST = 10.0, 60.0, 10_000_000


@dataclass(frozen=True)
class StoredLog:
    """The log of one container of a pod that may be gone."""

    pod: str
    container: str
    complete: bool = True  # False if its pod was deleted before the log was read to the end

    def __str__(self) -> str:
        return f"{self.pod}/{self.container}"


class StoredLogs:
    """The logs of one project at `url`, read with a token of the project."""

    def __init__(self, url: str, project: str, token: str) -> None:
        self._base = f"{url}/v1/projects/{quote(project)}/jobs"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)

    def jobs(self) -> list[str]:
        """The names of the jobs that have logs. Raises StepError."""
        return [str(name) for name in self._json("")["jobs"]]

    def logs(self, job: str) -> list[StoredLog]:
        """The logs of a job, none if there are none. Raises StepError."""
        found = self._json(f"/{quote(job)}", absent={"logs": []})["logs"]
        logs = (
            StoredLog(each["pod"], each["container"], (each.get("end") or {}).get("complete", True))
            for each in found
        )
        return sorted(logs, key=str)

    def lines(self, job: str, log: StoredLog, tail: int = 0) -> Iterator[str]:
        """The lines of a log as they arrive, or the last ones. Raises StepError."""
        path = f"/{quote(job)}/pods/{quote(log.pod)}/containers/{quote(log.container)}"
        answer = self._get(path + (f"?tail={tail}" if tail else ""))
        rest = b""
        try:
            if answer.status != 200:
                raise _refused(answer.status, answer.read(_LONGEST))
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise _silent(error) from error
        finally:
            answer.close()
        if rest:
            yield rest.decode(errors="replace")

    def _json(self, path: str, absent: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        answer = self._get(path)
        try:
            data = answer.read(_LONGEST)
        except urllib3.exceptions.HTTPError as error:
            raise _silent(error) from error
        finally:
            answer.close()
        if answer.status == 404 and absent is not None:
            return absent
        if answer.status != 200:
            raise _refused(answer.status, data)
        found: Mapping[str, Any] = json.loads(data)
        return found

    def _get(self, path: str) -> urllib3.BaseHTTPResponse:
        try:
            return urllib3.request(
                "GET",
                self._base + path,
                headers=self._headers,
                timeout=self._timeout,
                retries=urllib3.Retry(2, redirect=0),
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise _silent(error) from error


def _silent(error: Exception) -> StepError:
    return StepError(
        "the stored logs do not answer",
        why=str(error),
        hint="run the same command again",
        transient=True,
    )


def _refused(status: int, data: bytes) -> StepError:
    try:
        why = str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        why = data[:500].decode(errors="replace").strip()
    return StepError(f"the stored logs answer {status}", why=why, transient=status >= 500)
