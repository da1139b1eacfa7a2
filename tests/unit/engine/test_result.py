"""Smoke results, read from a Job's log and from the run folder."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.engine.result import Result, load, parse, save

LOG = """\
2026-11-24 10:00:00 INFO: a library has something to say
{"probe": "rows are read back", "ok": true, "detail": "", "seconds": 0.25, "negative": false}
Traceback (most recent call last):
{"ok": true}
{"probe": "refused: unknown user", "ok": false, "detail": "it was allowed", "seconds": 0.0, "negative": true}
"""


def test_probes_are_found_among_other_lines() -> None:
    assert parse(LOG) == [
        Result("rows are read back", True, "", 0.25, False),
        Result("refused: unknown user", False, "it was allowed", 0.0, True),
    ]


def test_log_without_probes_has_no_results() -> None:
    assert parse("Killed\n") == []


def test_results_are_stored_by_component(tmp_path: Path) -> None:
    assert load(tmp_path) == {}
    results = parse(LOG)
    save(tmp_path, "store", results)
    save(tmp_path, "cache", [])
    assert load(tmp_path) == {"cache": [], "store": results}
