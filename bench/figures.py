"""Figures of one run, written to results.json and docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
RESULTS = ROOT / "bench/results.json"
BEGIN, END = "<!-- figures: begin (`make bench` writes them) -->", "<!-- figures: end -->"


@dataclass(frozen=True)
class Figure:
    """One figure; `most` is its target, None if it has none."""

    name: str
    value: float
    unit: str
    most: float | None = None

    @property
    def good(self) -> bool:
        return self.most is None or self.value <= self.most

    @property
    def row(self) -> str:
        target = "" if self.most is None else f"≤ {self.most:g} {self.unit}".strip()
        mark = "" if self.most is None else ("✔" if self.good else "✘")
        return f"| {self.name} | {self.value:.3g} {self.unit} | {target} | {mark} |"


@dataclass(frozen=True)
class Cost:
    """The build time of one program from an empty cache, beside other builds, and its size in MB."""

    program: str
    seconds: float
    size: float


def write(
    figures: list[Figure], steps: dict[str, float], cold: dict[str, float], programs: list[Cost]
) -> None:
    """Replace results.json and the part of the page between its markers."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    commit = subprocess.check_output(("git", "rev-parse", "--short", "HEAD"), cwd=ROOT, text=True).strip()
    RESULTS.write_text(
        json.dumps(
            {
                "date": when,
                "commit": commit,
                "machine": machine,
                "figures": [asdict(figure) for figure in figures],
                "warm_up_steps": steps,
                "cold_up_steps": cold,
                "programs": [asdict(cost) for cost in programs],
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
    lines = [
        f"Measured on {when} at commit {commit} in one run: {machine}.",
        "",
        "| figure | measured | target | |",
        "| --- | --- | --- | --- |",
    ]
    lines += [figure.row for figure in figures]
    for title, each in (("A warm `up`", steps), ("A cold `up`", cold)):
        if each:
            lines += ["", f"{title}, seconds by step (steps of half a second and more):", ""]
            lines += [f"    {seconds:7.1f}  {step}" for step, seconds in _longest(each)]
    if programs:
        lines += ["", "| program | build | size |", "| --- | --- | --- |"]
        lines += [f"| {cost.program} | {cost.seconds:.0f} s | {cost.size:.0f} MB |" for cost in programs]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def _longest(steps: dict[str, float]) -> list[tuple[str, float]]:
    return [(s, t) for s, t in sorted(steps.items(), key=lambda item: -item[1]) if t >= 0.5]
