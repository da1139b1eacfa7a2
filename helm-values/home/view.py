"""What objects look like on the page: states, shares of the quota, rows of lists."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from string import Template
from typing import Any
from urllib.parse import quote

Object = Mapping[str, Any]
Row = dict[str, Any]

MEMBERS = "mlops-platform/members"  # annotation of the namespace of a project
READY, STOPPED, UNKNOWN, WAITING, RUNNING = "ready", "stopped", "unknown", "waiting", "running"
# Types of conditions by convention of Kubernetes; the first one that is true decides.
_STATES = (
    ("Failed", "failed"),
    ("Complete", "done"),
    ("Succeeded", "done"),
    ("Suspended", "suspended"),
    ("Ready", READY),
    ("Running", RUNNING),
)
_RUN_STATES = {"FINISHED": "done", "FAILED": "failed", "KILLED": "stopped", "SCHEDULED": WAITING}
_LONGEST = 160
_QUOTA = (
    ("CPU", r"requests\.cpu", 1.0, ""),
    ("Memory", r"requests\.memory", 2.0**30, "GiB"),
    ("GPU", r"requests\..+/gpu", 1.0, ""),
    ("Storage", r"requests\.storage", 2.0**30, "GiB"),
    ("Pods", r"pods", 1.0, ""),
)
_UNITS = {
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)},
    "m": 0.001,
    "": 1.0,
}


def plain(text: object) -> str:
    """The text of a user in one line, without control characters, not longer than a line of the page."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def role_in(record: str, user: str, groups: Collection[str]) -> str:
    """The role that the record of a project gives to a person: 'edit', 'view', or '' for no member."""
    try:
        roles = {
            each["role"]
            for each in json.loads(record)
            if (each["kind"] == "user" and each["name"] == user)
            or (each["kind"] == "group" and each["name"] in groups)
        }
    except (KeyError, TypeError, ValueError):
        return ""
    return next((role for role in ("edit", "view") if role in roles), "")


def endpoints_state(slices: Sequence[Object]) -> str:
    """The state of a Service by its EndpointSlices. A condition that is not given counts as ready."""
    ready = (
        (endpoint.get("conditions") or {}).get("ready") is not False
        for each in slices
        for endpoint in each.get("endpoints") or ()
    )
    return READY if any(ready) else STOPPED


def state_of(found: Object) -> tuple[str, str]:
    """The state of an object, with the reason if it is not good."""
    conditions = [c for c in (found.get("status") or {}).get("conditions") or () if isinstance(c, dict)]
    by_type = {each.get("type"): each for each in conditions}
    for kind, state in _STATES:
        each = by_type.get(kind)
        if each and each.get("status") == "True":
            return state, _why(each) if state == "failed" else ""
    unready = by_type.get("Ready")
    return (WAITING, _why(unready)) if unready else (RUNNING if conditions else WAITING, "")


def _why(condition: Object) -> str:
    return plain(condition.get("message") or condition.get("reason") or "")


def rows_of(shown: Mapping[str, str], project: str, objects: Sequence[Object], most: int) -> list[Row]:
    """The newest rows of a list."""
    newest = sorted(objects, key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True)
    return [_row(shown, project, each) for each in newest[:most]]


def _row(shown: Mapping[str, str], project: str, found: Object) -> Row:
    meta = found["metadata"]
    state, why = state_of(found)
    annotation = plain((meta.get("annotations") or {}).get(shown["annotation"], ""))
    names = {"project": quote(project, safe=""), "object": quote(meta["name"], safe="")}
    return {
        "name": plain(meta["name"]),
        "detail": f"{shown['word']} {annotation}".strip() if annotation else "",
        "state": state,
        "why": why,
        "address": Template(shown["address"]).safe_substitute(names),
        "endpoint": Template(shown["endpoint"]).safe_substitute(names),
        "since": meta.get("creationTimestamp") or "",
    }


def run_row(address: str, project: str, run: Object, experiments: Mapping[str, str]) -> Row:
    """A run of the tracking server."""
    info = run["info"]
    tags = {each["key"]: each["value"] for each in (run.get("data") or {}).get("tags") or ()}
    names = {"project": project, "experiment": info["experiment_id"], "run": info["run_id"]}
    who, experiment = tags.get("mlflow.user", ""), experiments.get(info["experiment_id"], "")
    return {
        "name": plain(info.get("run_name") or info["run_id"]),
        "detail": plain(" · ".join(each for each in (experiment, who) if each)),
        "state": _RUN_STATES.get(info.get("status", ""), RUNNING),
        "why": "",
        "endpoint": "",
        "address": Template(address).safe_substitute({k: quote(v, safe="") for k, v in names.items()}),
        "since": int(info.get("start_time") or 0),
    }


def quota_of(found: Object) -> list[Row]:
    """The shares of the quota that are in use; resources of which there are none are left out."""
    status = found.get("status") or {}
    hard = status.get("hard") or (found.get("spec") or {}).get("hard") or {}
    used = status.get("used") or {}
    rows = []
    for name, pattern, size, unit in _QUOTA:
        key = next((each for each in hard if re.fullmatch(pattern, each)), "")
        most = amount(hard[key]) / size if key else 0.0
        if most:
            now = amount(used[key]) / size if key in used else None
            rows.append(
                {"name": name, "used": now if now is None else round(now, 2), "hard": most, "unit": unit}
            )
    return rows


def amount(quantity: str) -> float:
    """The number of a quantity of Kubernetes: '500m' is 0.5."""
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([a-zA-Z]*)", str(quantity))
    return float(match[1]) * _UNITS.get(match[2], 1.0) if match else 0.0
