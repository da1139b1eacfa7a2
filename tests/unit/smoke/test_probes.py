"""The probes of smoke scripts, run as a Job runs them, in a separate process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mlops_platform.engine.result import Result, parse
from mlops_platform.smoke import probes

HEAD = "from probes import Probes, patiently\nprobes = Probes()\n"


def run(folder: Path, body: str) -> tuple[int, list[Result]]:
    """Run a script beside `probes.py`, as both are mounted; other output is in the log too."""
    (folder / "probes.py").write_text(Path(probes.__file__).read_text())
    (folder / "smoke.py").write_text(f"{HEAD}{body}\nprobes.end()\n")
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = [{str(folder)!r}]; import smoke"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, parse(done.stdout)


def test_expected_outcomes_pass(tmp_path: Path) -> None:
    body = """
with probes.works("one"):
    pass
with probes.refused("two", KeyError, "password"):
    raise KeyError("wrong password")
"""
    code, results = run(tmp_path, body)
    assert code == 0
    assert [(r.name, r.ok, r.negative) for r in results] == [
        ("one", True, False),
        ("refused: two", True, True),
    ]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ('with probes.works("it"):\n    assert 1 == 2, "1 is not 2"', "AssertionError: 1 is not 2"),
        ('with probes.refused("it", KeyError):\n    pass', "it was allowed"),
        ('with probes.refused("it", KeyError):\n    {}[0][0] + ""[0]', ""),
        (
            'with probes.refused("it", KeyError):\n    raise ConnectionError("server is down")',
            "not refused, but: ConnectionError: server is down",
        ),
        (
            'with probes.refused("it", KeyError, "password"):\n    raise KeyError("quota")',
            "refused, but: KeyError: 'quota'",
        ),
    ],
    ids=["it does not work", "it is allowed", "it is refused", "the server is down", "another reason"],
)
def test_unexpected_outcome_fails(tmp_path: Path, body: str, detail: str) -> None:
    code, results = run(tmp_path, body)
    assert [(r.ok, r.detail) for r in results] == [(not detail, detail)]
    assert code == (1 if detail else 0)


def test_failed_probe_does_not_stop_next_probe(tmp_path: Path) -> None:
    body = 'with probes.works("one"):\n    raise OSError\nwith probes.works("two"):\n    pass'
    code, results = run(tmp_path, body)
    assert code == 1 and [r.ok for r in results] == [False, True]


def test_patiently_returns_first_answer(tmp_path: Path) -> None:
    body = """
tries = []
def connect():
    tries.append(1)
    if len(tries) < 3:
        raise ConnectionError("not yet")
    return len(tries)
with probes.works("answered"):
    assert patiently(connect, ConnectionError) == 3
with probes.works("another error ends it"):
    try:
        patiently(lambda: {}["key"], ConnectionError)
    except KeyError:
        pass
"""
    code, results = run(tmp_path, body)
    assert code == 0 and len(results) == 2
