"""Results of smoke tests, and their files in the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_MARK = '{"probe": '


@dataclass(frozen=True)
class Result:
    """The result of one probe. `negative` marks a negative test; `detail` says why the probe failed."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0
    negative: bool = False


def parse(log: str) -> list[Result]:
    """Read the probes' lines of a Job's log, which also has the output of its libraries."""
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
    """Write one file per component: several smoke tests run at once."""
    _folder(run_folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=1)
    (_folder(run_folder) / f"{component}.json").write_text(text)


def load(run_folder: Path) -> Mapping[str, Sequence[Result]]:
    """Read the results of a run by component; empty if no smoke test ran."""
    return {
        file.stem: [Result(**each) for each in json.loads(file.read_text())]
        for file in sorted(_folder(run_folder).glob("*.json"))
    }
