"""Reasons why a container of people's code does not run, in a few words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.base.humanize import plain

Object = Mapping[str, Any]

_CRASHED = "CrashLoopBackOff"
_QUOTA = re.compile(r"exceeded quota: [^,]+, requested: (.+), used: (.+), limited: (.+)")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class Failure:
    """The last failed run of a container; `text` is '' if it left no message. `tries` counts its runs.

    `memory` is its limit.
    """

    container: str
    how: str  # 'exit 1', 'OOMKilled'
    text: str
    tries: int
    memory: str = ""

    @property
    def line(self) -> str:
        """The last line of the message: of a traceback, the error."""
        return (self.text.splitlines() or [""])[-1].strip()

    def __str__(self) -> str:
        if self.how == "OOMKilled":
            return f"it needs more memory than its limit{f', {self.memory}' if self.memory else ''}"
        return f"{self.how}: {self.line}" if self.line else self.how


def failure_of(status: Object) -> Failure | None:
    """The failure of a container that has ended or waits for its next run; None while it runs."""
    state = status.get("state") or {}
    ended = state.get("terminated")
    if (state.get("waiting") or {}).get("reason") == _CRASHED:
        ended = (status.get("lastState") or {}).get("terminated")
    if not ended or ended.get("exitCode") == 0:
        return None
    reason = ended.get("reason") or "Error"
    how = reason if reason != "Error" else f"exit {ended.get('exitCode')}"
    text = plain((ended.get("message") or "").strip())
    limits = (status.get("resources") or {}).get("limits") or {}
    return Failure(
        status["name"], how, text, int(status.get("restartCount", 0)) + 1, str(limits.get("memory", ""))
    )


def waiting_words(status: Object) -> str:
    """What a container that has not started waits for: 'pulling its image', or the reason of a failure."""
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE:
        return f"its image cannot be pulled: {message or reason}"
    if reason in _CREATE:
        return f"it cannot start: {message or reason}"
    return ""


def unscheduled(pod: Object) -> str:
    """'' if the pod has a node, else why no node takes it."""
    for each in pod.get("status", {}).get("conditions") or []:
        if each["type"] == "PodScheduled" and each["status"] == "False":
            text = str(each.get("message") or each.get("reason", ""))
            return f"no node has room: {text.partition(' preemption: ')[0].partition(' no new claims')[0]}"
    return ""


def quota_words(message: str) -> str:
    """The API server's message about a rejected pod, shorter if it is about the quota."""
    found = _QUOTA.search(message)
    if not found:
        return message
    wanted, used, most = ({k: v for k, _, v in _pairs(part)} for part in found.groups())
    parts = [
        f"{key}: {value} more, {used.get(key, '?')} of {most.get(key, '?')} used"
        for key, value in wanted.items()
    ]
    return f"not enough quota: {', '.join(parts)}"


def _pairs(text: str) -> list[tuple[str, str, str]]:
    return [each.partition("=") for each in text.split(",")]
