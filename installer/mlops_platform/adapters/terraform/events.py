"""Reads the events of a run as they are written, shows them and sums them up.

The lines are the output of `apply -json`: https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.base.progress import Progress

_VERBS = {"create": "creating", "delete": "destroying", "update": "changing", "read": "reading"}
# Objects of this provider exist only in the state, so there is nothing to import.
_BUILT_IN = "terraform"


@dataclass(frozen=True)
class Made:
    """An object that Terraform reported as created; `id` is its import id, '' if the event has none."""

    address: str
    id: str
    built_in: bool


class EventLog:
    """The events of one run so far. Unknown event types are ignored."""

    def __init__(self) -> None:
        self.started: dict[str, str] = {}
        self.made: dict[str, Made] = {}
        self.incomplete: set[str] = set()  # creations that ended in an error, also by an interruption
        self.errors: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self.complete = False
        self.rest: deque[str] = deque(maxlen=20)
        self._planned = 0
        self._done = 0

    def line(self, text: str, progress: Progress) -> None:
        """Read one line of the file; a line that is no event is added to `rest`."""
        try:
            event = json.loads(text)
            kind, message = event["type"], str(event["@message"])
        except (ValueError, KeyError, TypeError):
            self.rest.append(text)
            return
        if kind == "change_summary":
            self._summary(event["changes"])
        elif kind in ("apply_start", "apply_progress", "apply_complete", "apply_errored"):
            self._apply(kind, event["hook"], progress)
        elif kind == "provision_progress":
            output = event["hook"]["output"].strip().splitlines()
            if output and not output[-1].startswith("Executing: "):
                progress.say(f"{event['hook']['resource']['addr']}: {output[-1]}")
        elif kind == "diagnostic":
            self._diagnostic(event["diagnostic"], progress)
        elif kind in ("refresh_start", "state_lock_acquire"):
            progress.say(message)

    def _summary(self, changes: Mapping[str, Any]) -> None:
        if changes["operation"] == "plan":
            self._planned = sum(changes.get(key, 0) for key in ("add", "change", "remove"))
        else:
            self.complete = True

    def _apply(self, kind: str, hook: Mapping[str, Any], progress: Progress) -> None:
        address, action = hook["resource"]["addr"], hook["action"]
        doing = f"{address}: {_VERBS.get(action, action)}"
        if kind == "apply_start":
            self.started[address] = action
            progress.say(doing)
        elif kind == "apply_progress":
            progress.say(f"{doing}, {hook['elapsed_seconds']:.0f}s")
        elif kind == "apply_complete":
            self._done += 1
            progress.fraction(self._done, max(self._planned, self._done), address)
            if action == "create":
                self.incomplete.discard(address)
                built_in = hook["resource"].get("implied_provider") == _BUILT_IN
                self.made[address] = Made(address, str(hook.get("id_value") or ""), built_in)
        elif action == "create":
            self.incomplete.add(address)

    def _diagnostic(self, diagnostic: Mapping[str, Any], progress: Progress) -> None:
        summary, detail = diagnostic["summary"], diagnostic.get("detail", "").strip()
        text = f"{diagnostic['address']}: {summary}" if diagnostic.get("address") else summary
        if diagnostic["severity"] == "error":
            if (text, detail) not in self.errors:
                self.errors.append((text, detail))
        elif text not in self.warnings:
            self.warnings.append(text)
            progress.note(f"Terraform warns: {text}")

    @property
    def succeeded(self) -> bool:
        """True if the run ended with its summary, which Terraform omits after an error."""
        return self.complete and not self.errors

    @property
    def why(self) -> str:
        """All errors with their details; without errors, the output outside of events."""
        errors = ["\n".join(filter(None, error)) for error in self.errors]
        return "\n\n".join(errors) or "\n".join(self.rest).strip()


class Tail:
    """Reads the lines that were added to a file since the last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._partial = b""

    def lines(self) -> list[str]:
        """The new complete lines; empty while there is no file."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *whole, self._partial = (self._partial + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def feed(self, log: EventLog, progress: Progress) -> None:
        for line in self.lines():
            log.line(line, progress)
