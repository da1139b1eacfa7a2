"""Tests of base/yaml: types, lines, limits, files that are not YAML, text for other readers."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.base.errors import ConfigurationError, StepError
from mlops_platform.base.yaml import check, dump, dump_all, kubernetes_objects, load, load_kubernetes, parse
from pydantic import BaseModel, ConfigDict

import tests

CASES = tests.CASES / "yaml"
TYPES = """\
text: hello
number: 3
half: 0.5
yes: true
nothing:
date: 2026-13-45
base: &base {a: 1}
again: *base
items:
  - one
  - {two: 2}
time: 1:23
words: [on, off, yes, No, y, =, 1_000, "0644", !!str 0644, !!float 3, 0o644, 0x1F, -0, +7, 1e3, .5, Null]
"""
DATA: dict[str, Any] = {
    "text": "hello",
    "number": 3,
    "half": 0.5,
    "yes": True,
    "nothing": None,
    "date": "2026-13-45",
    "base": {"a": 1},
    "again": {"a": 1},
    "items": ["one", {"two": 2}],
    "time": "1:23",
    "words": [*"on off yes No y = 1_000 0644 0644".split(), 3.0, 420, 31, 0, 7, 1e3, 0.5, None],  # noqa: SIM905
}


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    memory: str = ""


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    parts: dict[str, Inner] = {}


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in load(path, path.stem).problems]


def test_values_have_the_types_of_yaml_1_2(tmp_path: Path) -> None:
    document = load(written(tmp_path, TYPES))
    assert (document.data, document.problems) == (DATA, ())
    assert [type(each) for each in document.data["words"]] == [type(each) for each in DATA["words"]]
    assert document.line("items", 1, "two") == 11
    assert document.line("items", 1, "two", "deeper") == 11
    assert document.line("gone") == 1


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda p: p.stem)
def test_each_problem_is_reported_with_its_line(case: Path, update_golden: bool) -> None:
    seen = "".join(f"{each}\n" for each in problems(case))
    expected = case.with_suffix(".problems")
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nname: b\n", ["file:2: name: given twice (keep one)"]),
        ("- a\n", ["file:1: must be a mapping of keys to values"]),
        (
            "name: a\nparts:\n  x:\n    memroy: 1Gi\n",
            ["file:4: parts.x.memroy: unknown key (did you mean memory?)"],
        ),
        ("parts: {}\n", ["file:1: name: missing (add it)"]),
        ("", ["file:1: name: missing (add it)"]),
        ("null", ["file:1: must be a mapping of keys to values"]),
        ("name: 07\n", ['file:1: 07: an integer with a leading zero (write "07", or write 7)']),
        (
            "name: 7\nparts:\n  x: {memory: 1}\n",
            [
                "file:1: name: must be text, not 7 (put it in quotes)",
                "file:3: parts.x.memory: must be text, not 1 (put it in quotes)",
            ],
        ),
    ],
)
def test_model_reports_each_problem_once_with_its_line(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    value, found = check(load(written(tmp_path, text), "file"), Outer)
    assert value is None
    assert [str(p) for p in found] == expected


LARGE = {
    "brackets": ("[" * 200_000, "nested deeper than 100 levels"),
    "braces": ("{" * 200_000, "nested deeper than 100 levels"),
    "dashes": ("- " * 200_000, "nested deeper than 100 levels"),
    "keys": ("? " * 200_000, "nested deeper than 100 levels"),
    "list": ("[" + "a," * 500_000 + "]", "more than 100000 values"),
    "mapping": ("".join(f"k{i}: v\n" for i in range(90_000)), "more than 100000 values"),
    "bytes": ("a: " + "x" * 10_000_000, "larger than 1024 KiB"),
    "digits": ("a: " + "9" * 1_000_000, "an integer of more than 64 bits"),
    "zeros": ("a: " + "0" * 1_000_000, "an integer with a leading zero"),
    "fraction": ("a: 1e" + "9" * 1_000_000, "a number too large"),
    "duplicates": ("a: 1\n" * 100_000, "more than 100 problems"),
    "unknown keys": ("".join(f"k{i}: v\n" for i in range(20_000)), "20001 problems; 100 are shown"),
    "long key": ("k" * 1000 + ": 1\n" + "? " + "k" * 900_000 + "\n: 1", "unknown key"),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_input_is_refused_within_seconds(tmp_path: Path, name: str) -> None:
    text, expected = LARGE[name]
    before = time.process_time()
    _, found = check(load(written(tmp_path, text), "file"), Outer)
    assert expected in "\n".join(map(str, found))
    assert sum(len(str(each)) for each in found) < 100_000
    assert time.process_time() - before < 10


def test_what_is_not_a_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        seen = {p.name: load(p, p.name).problems[0].what for p in [tmp_path, *tmp_path.iterdir()]}
    seen[tmp_path.name] = seen.pop(tmp_path.name)
    assert seen == {
        "fifo": "cannot be read: it is a FIFO",
        "broken": "cannot be read: No such file or directory",
        "loop": "cannot be read: Too many levels of symbolic links",
        "socket": "cannot be read: it is a socket",
        tmp_path.name: "cannot be read: it is a directory",
    }
    assert "a device" in load(Path("/dev/zero")).problems[0].what
    assert "No such file" in load(tmp_path / "gone.yaml").problems[0].what


def test_byte_order_mark_of_utf8_is_ignored(tmp_path: Path) -> None:
    assert load(written(tmp_path, b"\xef\xbb\xbfname: a\n")).data == {"name": "a"}


# As sigs.k8s.io/yaml v1.6.0 reads them: YAMLToJSON of each line.
KUBERNETES = """\
mode: 0644
modern: 0o644
words: [on, off, y, N, yes, No, ~, =, "on"]
numbers: [1_000, 0x1F, 0b11, 08, 1e3, .5, -0644, 1:23, 1.5.0, 99999999999999999999]
date: 2026-01-02
8080: a key
on: a key
base: &base {a: 1, b: 1}
merged: {<<: *base, b: 2}
twice: 1
twice: 2
"""
OBJECTS: dict[str, Any] = {
    "mode": 420,
    "modern": 420,
    "words": [True, False, True, False, True, False, None, "=", "on"],
    "numbers": [1000, 31, 3, 8.0, 1000.0, 0.5, -420, "1:23", "1.5.0", 1e20],
    "date": "2026-01-02",
    "8080": "a key",
    "true": "a key",
    "base": {"a": 1, "b": 1},
    "merged": {"a": 1, "b": 2},
    "twice": 2,
}


def test_objects_are_read_as_kubernetes_reads_them(tmp_path: Path) -> None:
    assert kubernetes_objects(f"{KUBERNETES}---\n# empty\n---\na: 1\n", "x") == [OBJECTS, {"a": 1}]
    assert load_kubernetes(written(tmp_path, KUBERNETES)) == OBJECTS


@pytest.mark.parametrize("text", ["a: [", "[" * 200_000, "a: !!binary x", "[a]: b", "a: \0"])
def test_text_that_kubernetes_cannot_read_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(StepError, match="x: not YAML"):
        kubernetes_objects(text, "x")
    with pytest.raises(ConfigurationError):
        load_kubernetes(written(tmp_path, text))


WORDS = (CASES / "words.txt").read_text().split()
TEXTS = [*WORDS, "", " a", "a ", "a: b", "a #b", "é", "😀", "a\nb", "a\n", "\t", "\x7f", "\x85a"]
TEXTS += ["a\u2028b", "\ufeffa"]


def test_written_text_is_text_to_every_reader() -> None:
    data = {text or "empty": {"as value": text, text: "as key", "in list": [text]} for text in TEXTS}
    seen = dump(data)
    assert yaml.safe_load(seen) == data  # YAML 1.1
    assert parse(seen, "x").data == data  # YAML 1.2
    assert kubernetes_objects(seen, "x") == [data]


def test_written_values_keep_type_and_order_without_aliases() -> None:
    shared = {"a": [1, 1.5, True, None, 1e300]}
    data = {"z": shared, "a": shared, "tuple": (1, 2)}
    seen = dump_all([data, data])
    assert "&" not in seen
    assert list(yaml.safe_load_all(seen)) == [data | {"tuple": [1, 2]}] * 2
    assert [list(each) for each in kubernetes_objects(seen, "x")] == [["z", "a", "tuple"]] * 2
