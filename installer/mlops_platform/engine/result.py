"""Owns the outcome of one probe, and the outcomes of a run in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_MARK = '{"probe": '


@dataclass(frozen=True)
class Result:
    """`refusal`: the probe passes when something is refused. `detail` says why it failed."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0
    refusal: bool = False


def parse(log: str) -> list[Result]:
    """The probes' lines out of a Job's log, which also holds whatever its libraries say."""
    found = []
    for line in log.splitlines():
        if line.startswith(_MARK):
            data = json.loads(line)
            name = data.pop("probe")
            found.append(Result(name=name, **data))
    return found


def _folder(run_folder: Path) -> Path:
    return run_folder / "smoke"


def save(run_folder: Path, component: str, results: Sequence[Result]) -> None:
    """One file a component: several are proven at once."""
    _folder(run_folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=1)
    (_folder(run_folder) / f"{component}.json").write_text(text)


def load(run_folder: Path) -> Mapping[str, Sequence[Result]]:
    """Every result of a run by component; empty when it proved nothing."""
    return {
        file.stem: [Result(**each) for each in json.loads(file.read_text())]
        for file in sorted(_folder(run_folder).glob("*.json"))
    }
