"""Read a YAML file into a Document: plain data, the line of every key, and the problems found."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Problem, StepError
from mlops_platform.base.yaml import parse as parsing
from mlops_platform.base.yaml.tree import Key, Place, Tree

MOST_BYTES = 1024 * 1024
_RENDERED = 5_000_000  # values in what Helm or kustomize print: all of Kubeflow's objects have 300,000
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Document:
    """A parsed file. `data` is None if the file cannot be read at all; `problems` says why."""

    file: str
    data: Any
    lines: dict[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    bad: frozenset[Place] = frozenset()  # places of values that could not be read
    text: str = ""

    def line(self, *keys: Key) -> int:
        """Return the line of a key or list item, or of the nearest enclosing one in the file."""
        place = tuple(keys)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, keys: Sequence[Key], what: str, hint: str = "") -> Problem:
        return Problem(self.file, self.line(*keys), what, hint)


def load(path: Path, shown_as: str = "") -> Document:
    """Read a file that people write, by YAML 1.2, with JSON's types only."""
    name = shown_as or str(path)
    try:
        text = read_text(path, name)
    except ConfigurationError as error:
        return Document(name, None, problems=error.problems)
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """Read a text as `load` reads a file."""
    tree = parsing.strict(text, name)
    if tree.documents or tree.problems:
        return _document(tree, tree.documents[0] if tree.documents else None, text)
    return _document(tree, {}, text)


def load_documents(path: Path, shown_as: str = "") -> Document:
    """Read a file of several documents that people write, as `load` does; `data` is the list of them."""
    name = shown_as or str(path)
    try:
        text = read_text(path, name)
    except ConfigurationError as error:
        return Document(name, None, problems=error.problems)
    tree = parsing.strict_documents(text, name)
    return _document(tree, [each for each in tree.documents if each is not None], text)


def load_kubernetes(path: Path) -> Any:
    """Read a kubeconfig or a file of a chart as Kubernetes reads it. Raises ConfigurationError."""
    tree = parsing.as_kubernetes(read_text(path), str(path), parsing.MOST_VALUES)
    if tree.problems:
        raise ConfigurationError(tuple(tree.problems))
    return tree.documents[0] if tree.documents else None


def kubernetes_objects(text: str, source: str) -> list[Any]:
    """Read every object that a program printed, as Kubernetes reads it. Raises StepError."""
    tree = parsing.as_kubernetes(text, source, _RENDERED)
    if tree.problems:
        raise StepError(f"{source}: not YAML", why="\n".join(str(each) for each in tree.problems))
    return [each for each in tree.documents if each]


def _document(tree: Tree, data: Any, text: str) -> Document:
    return Document(tree.file, data, tree.lines, tuple(tree.problems), frozenset(tree.bad), text)


def read_text(path: Path, name: str = "") -> str:
    """Read a file of UTF-8 of at most 1 MiB. Raises ConfigurationError with the file and the line."""
    file = name or str(path)
    try:
        data = _read(path)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        hint = "fix the symbolic link" if path.is_symlink() and error.errno == errno.ENOENT else ""
        raise _unreadable(file, 0, what, hint) from error
    if isinstance(data, str):
        raise _unreadable(file, 0, f"cannot be read: it is {data}", "give a file")
    if len(data) > MOST_BYTES:
        raise _unreadable(file, 0, f"larger than {MOST_BYTES // 1024} KiB", "split it, or check the path")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(file, 1, "UTF-16, not UTF-8", "save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise _unreadable(file, line, what, "save the file as UTF-8") from error


def _read(path: Path) -> bytes | str:
    """Return the first bytes, or the kind of what is there in place of a file. Never waits for a writer."""
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        return _KINDS.get(kind, "not a file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(MOST_BYTES + 1)


def _unreadable(file: str, line: int, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError((Problem(file, line, what, hint),))
