"""The answers of probe pods about the addresses they reach, compared with the allowed connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_platform.engine.result import Result


@dataclass(frozen=True)
class Target:
    """One address to try. `what` is its readable name: 'postgres:5432', 'the API server'."""

    what: str
    host: str
    port: int


@dataclass(frozen=True)
class Source:
    """A pod that connects, in its namespace. `allowed` has the targets, by `what`, that it should reach."""

    name: str
    job: str
    namespace: str
    allowed: frozenset[str]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """The result for one address: `ever` reached, and `reached` at the last attempt."""

    target: Target
    reached: bool
    ever: bool
    stable: bool
    last: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """The answers of one source. `unknown`: names that it could not resolve; `broken`: why it gave no answer;
    `node`: the address of its node."""

    source: Source
    answers: tuple[Answer, ...] = ()
    unknown: tuple[str, ...] = ()
    broken: str = ""
    log: str = ""
    node: str = ""


def parse(source: Source, targets: Sequence[Target], log: str) -> Report:
    """Read the pod's output; a target without a line makes the report broken."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    found = {line.pop("target"): line for line in lines if "target" in line}
    answers = tuple(
        Answer(t, line["reached"], line["ever"], line["stable"], line["last"], line["seconds"])
        for i, t in enumerate(targets)
        if (line := found.get(i))
    )
    unknown = tuple(f"{line['name']}: {line['error']}" for line in lines if line.get("error"))
    node = next((line["node"] for line in lines if "node" in line), "")
    lost = len(targets) - len(answers)
    return Report(source, answers, unknown, f"{lost} answers are missing" if lost else "", log, node)


def at_own_node(report: Report) -> tuple[Answer, ...]:
    """Addresses at the source's own node that it reached without being allowed to."""
    there = (a for a in report.answers if a.target.host == report.node)
    return tuple(a for a in there if a.ever and a.target.what not in report.source.allowed)


def results_of(report: Report) -> list[Result]:
    """One result for each target: an allowed one must be reached at last, any other never."""
    source = report.source
    results = [Result(f"{source.name} resolves names", not report.unknown, "\n".join(report.unknown))]
    if report.broken:
        results.append(Result(f"{source.name} gives answers", False, report.broken))
    for what in dict.fromkeys(answer.target.what for answer in report.answers):
        answers = [answer for answer in report.answers if answer.target.what == what]
        allowed = what in source.allowed
        wrong = [a for a in answers if not a.stable or (not a.reached if allowed else a.ever)]
        name = f"{source.name} reaches {what}" if allowed else f"refused: {source.name} to {what}"
        detail = "\n".join(map(_detail, wrong))
        seconds = max(answer.seconds for answer in answers)
        results.append(Result(name, not wrong, detail, seconds, negative=not allowed))
    return results


def _detail(answer: Answer) -> str:
    place = f"{answer.target.host}:{answer.target.port}"
    if not answer.stable:
        return f"{place}: sometimes reached, sometimes not"
    if answer.reached:
        return f"{place}: the connection was allowed"
    return f"{place}: the connection was allowed at first" if answer.ever else f"{place}: {answer.last}"
