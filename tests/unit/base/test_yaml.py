"""Proves reading YAML with the line of everything: typing, duplicates, anchors, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mlops_platform.base.yaml import check, load
from pydantic import BaseModel, ConfigDict

TYPES = """\
text: hello
number: 3
half: 0.5
yes: true
nothing:
date: 2026-01-02
base: &base {a: 1}
again: *base
items:
  - one
  - {two: 2}
"""


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    memory: str = ""


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    parts: dict[str, Inner] = {}


def written(folder: Path, text: str) -> Path:
    file = folder / "file.yaml"
    file.write_text(text)
    return file


def test_values_are_what_yaml_says_they_are(tmp_path: Path) -> None:
    document = load(written(tmp_path, TYPES))
    assert document.data == yaml.safe_load(TYPES)
    assert document.line("items", 1, "two") == 11
    assert document.line("items", 1, "two", "deeper") == 11
    assert document.line("gone") == 1


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("name: a\nname: b\n", ["file:2: name: given twice (keep one)"]),
        ("name: [a\n", ["file:2: not YAML: expected ',' or ']', but got '<stream end>'"]),
        ("- a\n", ["file:1: must be a mapping of keys to values"]),
        (
            "name: a\nparts:\n  x:\n    memroy: 1Gi\n",
            ["file:4: parts.x.memroy: unknown key (did you mean memory?)"],
        ),
        ("parts: {}\n", ["file:1: name: missing (add it)"]),
        (
            "name: 7\nparts:\n  x: {memory: 1}\n",
            [
                "file:1: name: must be text, not 7 (put it in quotes)",
                "file:3: parts.x.memory: must be text, not 1 (put it in quotes)",
            ],
        ),
    ],
)
def test_mistakes_stand_at_their_line(tmp_path: Path, text: str, problems: list[str]) -> None:
    value, found = check(load(written(tmp_path, text), "file"), Outer)
    assert value is None
    assert [str(p) for p in found] == problems


def test_a_file_that_is_not_there_is_a_problem_and_no_trace(tmp_path: Path) -> None:
    assert "cannot be read" in load(tmp_path / "gone.yaml").problems[0].what


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.getcwd []", "!!python/name:os.getcwd", "!mine x"]
)
def test_a_tag_that_would_build_an_object_is_refused(tmp_path: Path, value: str) -> None:
    """YAML's python tags run code where they are honoured, and would vanish where they are ignored."""
    document = load(written(tmp_path, f"name: {value}\n"), "file")
    assert [p.line for p in document.problems] == [1]
