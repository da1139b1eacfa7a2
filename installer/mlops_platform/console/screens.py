"""The final screens of commands, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import WIDTH, age, ago, duration, labelled, plural, table, with_notes
from mlops_platform.base.quantities import human
from mlops_platform.console.projects import one_line

if TYPE_CHECKING:
    from mlops_platform.clusters.base import Check
    from mlops_platform.clusters.leftovers import Leftover, RemoteEnvironment
    from mlops_platform.engine.engine import RunResult
    from mlops_platform.report.cache import Entry
    from mlops_platform.report.cost import Spent
    from mlops_platform.report.status import Row
    from mlops_platform.report.summary import SmokeResult, Summary

_CHECK_MARKS = {"ok": "✔", "warning": "!", "failure": "✘", "skipped": "·"}


def up(summary: Summary, result: RunResult) -> str:
    """One line when nothing changed, otherwise the endpoints and the next commands."""
    name = summary.environment
    if not result.done:
        smoke = f", smoke passed {ago(summary.smoke.when)}" if summary.smoke else ""
        steps = plural(len(result.unchanged), "step")
        return f"{name}: nothing to do ({steps} unchanged{smoke}) · {duration(result.seconds)}"
    steps = f"{plural(len(result.done), 'step')} done, {len(result.unchanged)} unchanged"
    lines = [f"{name} is up, {duration(result.seconds)} ({steps}).{_smoke(summary.smoke)}", ""]
    endpoints = [(f"{d.what:<10}", d.where, d.login) for d in summary.endpoints]
    wide = table(("what", "where", "log in"), endpoints)
    if max(map(len, wide.splitlines())) <= WIDTH:
        lines.append(wide)
    else:  # a long login hint goes below its address
        lines.append(table(("what", "where, log in"), [row for d in endpoints for row in _folded(*d)]))
    lines.append("")
    for number, command in enumerate(summary.next):
        lines += labelled("" if number else "next", command, wrap=False)
    return "\n".join(lines)


def up_to_cluster(name: str, result: RunResult) -> str:
    """The screen of `up --only cluster`."""
    if not result.done:
        steps = plural(len(result.unchanged), "step")
        return f"{name}: nothing to do ({steps} unchanged) · {duration(result.seconds)}"
    return "\n".join(
        [
            f"{name}: the cluster is up, {duration(result.seconds)}.",
            "",
            *labelled("next", f"mlops-platform up --env {name}", wrap=False),
        ]
    )


def _folded(what: str, where: str, login: str) -> list[tuple[str, str]]:
    return [(what, where), *([("", login)] if login else [])]


def _smoke(result: SmokeResult | None) -> str:
    if not result:
        return ""
    return f"\nSmoke: {result.passed} passed, {result.failed} failed ({result.negative} negative)."


def smoke(name: str, found: SmokeResult | None, result: RunResult) -> str:
    return f"{name}: smoke tests passed, {duration(result.seconds)}.{_smoke(found)}"


def down(
    name: str,
    result: RunResult,
    seen: int,
    stays: Sequence[Leftover] = (),
    *,
    kept: bool,
    spent: Spent | None = None,
    projects: Sequence[str] = (),
) -> str:
    """The removed objects, those that stay, and the verification. Leftovers are an error instead."""
    layers: dict[str, list[str]] = {}
    for step in result.done:
        layers.setdefault(step.partition("/")[2], []).append(step.partition("/")[0])
    lines = [f"{name} is down, {duration(result.seconds)}.", ""]
    gone = layers.get("uninstall", [])
    if gone:
        lines += labelled("releases", f"✔ {len(gone)} uninstalled: {', '.join(gone)}")
    if projects:
        lines += labelled("projects", f"✔ {len(projects)} removed: {', '.join(projects)}")
    if "destroy" in layers:
        lines += labelled("cluster", "✔ destroyed")
    if kept:
        lines += labelled("kept", f"data; `mlops-platform up --env {name}` brings it back")
    shown = [each for each in stays if each.kind != "state bucket"]
    for number, each in enumerate(shown):
        text = f"{each.kind} {each.id} {each.detail}".rstrip()
        lines += labelled("" if number else "kept", f"{text} ({each.keep or 'retained'})")
    lines += labelled("verify", f"✔ 0 left of {seen} seen")
    if spent:
        hours = duration(spent.hours * 3600)
        lines += labelled("cost", f"at least {spent.dollars:.2f} $ over {hours} (table of {spent.dated})")
    return "\n".join(lines)


def environments(found: Sequence[RemoteEnvironment], now: datetime) -> str:
    """Environments of this account, also those created on other machines, and those without a record."""
    if not found:
        return "none"
    rows = [
        (
            each.name,
            age(datetime.fromisoformat(each.made), now) if each.made else "no record",
            _so_far(each, now),
            each.owner or "-",
            _expiry(each, now),
        )
        for each in found
    ]
    places = dict.fromkeys(f"account {each.account}, {each.region}" for each in found)
    headers = ("name", "age", "cost so far", "owner", "expires")
    return "\n".join([*places, "", table(headers, rows)])


def _so_far(each: RemoteEnvironment, now: datetime) -> str:
    if not each.made or each.hourly is None:
        return f"unknown, {plural(each.objects, 'object')}"
    hours = (now - datetime.fromisoformat(each.made)).total_seconds() / 3600
    return f">= {max(0.0, hours) * each.hourly:.2f} $"


def _expiry(each: RemoteEnvironment, now: datetime) -> str:
    if not each.expires:
        return "never"
    when = datetime.fromisoformat(each.expires)
    return f"in {age(now, when)}" if when > now else f"expired {ago(when, now)}"


def status(name: str, rows: Sequence[Row], projects: Sequence[str] = (), simulated: str = "") -> str:
    headers = ("layer", "component", "version", "ready", "smoke", "drift", "since")
    cells = [(r.layer, r.component, r.version, r.ready, r.smoke, r.drift, r.since) for r in rows]
    lines = [table(headers, cells)]
    if projects:
        lines += ["", *labelled("projects", one_line(projects))]
    if simulated:
        lines += ["", *labelled("simulated", f"{simulated}: no hardware is behind them")]
    notes = [(r.component, r.note) for r in rows if r.note]
    lines = [with_notes("\n".join(lines), notes)]
    broken = [r.component for r in rows if not r.good and r.drift == "-"]
    drifted = [r.component for r in rows if r.drift != "-"]
    next_ = [f"logs {component}" for component in broken[:1]] + ["plan"] * bool(drifted)
    lines += [""] * bool(next_)
    for number, command in enumerate(next_):
        lines += labelled("" if number else "next", f"mlops-platform {command} --env {name}", wrap=False)
    return "\n".join(lines)


def check(checks: Sequence[Check]) -> str:
    """One line per check with its figure; reason and fix below those that are not ok."""
    width = max(len(c.name) for c in checks)
    lines = []
    for each in checks:
        lines.append(f"  {_CHECK_MARKS[each.status]} {each.name:<{width}}  {each.seen}".rstrip())
        if each.status != "ok":
            lines += _below("why", each.why) + _below("fix", each.fix)
    failures = sum(c.status == "failure" for c in checks)
    warnings = sum(c.status == "warning" for c in checks)
    ending = "ready" if not failures else f"not ready: {plural(failures, 'failure')}"
    if warnings:
        ending += f", {plural(warnings, 'warning')}"
    return "\n".join([*lines, "", f"  {ending}"])


def cache(folder: str, entries: Sequence[Entry]) -> str:
    """The entries of the cache; `prune` removes the unused ones."""
    rows = [(e.kind, e.name, human(e.size), ", ".join(e.used_by) or "-") for e in entries]
    total, free = sum(e.size for e in entries), sum(e.size for e in entries if not e.used_by)
    if not rows:
        return f"{folder}: empty"
    text = table(("kind", "name", "size", "used by"), rows)
    return (
        f"{text}\n\n  {human(total)} in {folder}\n  {human(free)} of it unused: `mlops-platform cache prune`"
    )


def pruned(removed: Sequence[Entry]) -> str:
    if not removed:
        return "nothing to remove"
    rows = [(e.kind, e.name, human(e.size)) for e in removed]
    return f"{table(('kind', 'name', 'size'), rows)}\n\n  {human(sum(e.size for e in removed))} freed"


def _below(label: str, text: str) -> list[str]:
    """A command, recognized by its flags, stays on one line, to be pasted."""
    lines = labelled(label, text, width=5, wrap=" --" not in text) if text else []
    return [" " * 4 + line for line in lines]
