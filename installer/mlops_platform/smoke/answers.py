"""Owns what probe pods answer to "what do you reach?", and which of the answers are right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_platform.engine.result import Result


@dataclass(frozen=True)
class Target:
    """One address to try. `what` is what a person calls it: 'postgres:5432', 'the API server'."""

    what: str
    host: str
    port: int


@dataclass(frozen=True)
class Source:
    """Who asks: a pod in a namespace. `allowed` are those targets, by `what`, that it should reach."""

    name: str
    job: str
    namespace: str
    allowed: frozenset[str]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a source found at one address: `ever` reached, and `reached` in the end."""

    target: Target
    reached: bool
    ever: bool
    stable: bool
    last: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """What one source said. `unknown` are names it could not look up; `broken` why it said nothing; `node`
    is the address of the one it ran on."""

    source: Source
    answers: tuple[Answer, ...] = ()
    unknown: tuple[str, ...] = ()
    broken: str = ""
    log: str = ""
    node: str = ""


def parse(source: Source, targets: Sequence[Target], log: str) -> Report:
    """The pod's lines; a target it did not speak of makes the report a broken one."""
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
    """Where it was let in, without being allowed to, at the very node it ran on."""
    there = (a for a in report.answers if a.target.host == report.node)
    return tuple(a for a in there if a.ever and a.target.what not in report.source.allowed)


def judged(report: Report) -> list[Result]:
    """One probe a target: what is allowed is reached in the end by every way, what is not by none, ever."""
    source = report.source
    results = [Result(f"{source.name} finds names", not report.unknown, "\n".join(report.unknown))]
    if report.broken:
        results.append(Result(f"{source.name} can be asked", False, report.broken))
    for what in dict.fromkeys(answer.target.what for answer in report.answers):
        answers = [answer for answer in report.answers if answer.target.what == what]
        allowed = what in source.allowed
        wrong = [a for a in answers if not a.stable or (not a.reached if allowed else a.ever)]
        name = f"{source.name} reaches {what}" if allowed else f"refused: {source.name} to {what}"
        detail = "\n".join(map(_words, wrong))
        seconds = max(answer.seconds for answer in answers)
        results.append(Result(name, not wrong, detail, seconds, negative=not allowed))
    return results


def _words(answer: Answer) -> str:
    place = f"{answer.target.host}:{answer.target.port}"
    if not answer.stable:
        return f"{place}: now reached, now not"
    if answer.reached:
        return f"{place}: it was let in"
    return f"{place}: it was let in at first" if answer.ever else f"{place}: {answer.last}"
