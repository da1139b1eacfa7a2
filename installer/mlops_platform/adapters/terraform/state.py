"""Reads a state file without Terraform: its objects, whether it is complete, and its lock."""

from __future__ import annotations

import fcntl
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FORMAT = 4  # since Terraform 0.12, and in every OpenTofu
# struct flock of 64-bit Linux: type, whence, start, length, pid
_FLOCK = "hhqqi4x"


@dataclass(frozen=True)
class State:
    """A state. `serial` grows with every write, `lineage` identifies the state.

    `ids` are the values of every `id`, `arn` and `identifier`. `tainted` are the addresses of objects that
    the next apply replaces. `protected` are the ids of objects that Terraform deletes only when they are
    empty (`force_destroy = false`).
    """

    serial: int
    lineage: str
    outputs: Mapping[str, Any]
    resources: tuple[str, ...]
    ids: frozenset[str] = frozenset()
    tainted: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unreadable:
    """A file that is no state, with the reason; `empty` if it has no bytes."""

    why: str
    empty: bool


def read(path: Path) -> State | Unreadable | None:
    """Read a state file; None if there is none."""
    try:
        return parse(path.read_text())
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return Unreadable("not text", empty=False)


def parse(text: str) -> State | Unreadable:
    """Parse the text of a state."""
    if not text:
        # Terraform makes the file when it takes the lock, long before it writes it (seen with 1.11.4,
        # 2026-11-24), and reads an empty one as "nothing exists".
        return Unreadable("empty", empty=True)
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Unreadable(f"{type(error).__name__}: {error}", empty=False)


def _parse(data: Any) -> State:
    if data["version"] != _FORMAT:
        raise ValueError(f"state format {data['version']} is not known")
    return State(
        serial=int(data["serial"]),
        lineage=str(data["lineage"]),
        outputs={name: output["value"] for name, output in (data.get("outputs") or {}).items()},
        resources=tuple(
            _address(resource, instance)
            for resource in data.get("resources") or ()
            if resource["mode"] == "managed"
            for instance in resource["instances"]
        ),
        ids=frozenset(
            str(value)
            for resource in data.get("resources") or ()
            if resource["mode"] == "managed"
            for instance in resource["instances"]
            for name in ("id", "arn", "identifier")
            if (value := (instance.get("attributes") or {}).get(name))
        ),
        tainted=frozenset(
            _address(resource, instance)
            for resource in data.get("resources") or ()
            if resource["mode"] == "managed"
            for instance in resource["instances"]
            if instance.get("status") == "tainted"
        ),
        protected=frozenset(
            str(attributes["id"])
            for resource in data.get("resources") or ()
            if resource["mode"] == "managed"
            for instance in resource["instances"]
            if (attributes := instance.get("attributes") or {}).get("force_destroy") is False
        ),
    )


def _address(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """The address as Terraform writes it: module.a.type.name["key"]."""
    module = f"{resource['module']}." if resource.get("module") else ""
    key = instance.get("index_key")
    index = "" if key is None else f"[{json.dumps(key, ensure_ascii=False)}]"
    return f"{module}{resource['type']}.{resource['name']}{index}"


def lock_file(path: Path) -> Path:
    """Terraform's lock file beside the state, with holder and time. It stays if Terraform is killed."""
    return path.with_name(f".{path.name}.lock.info")


def lock_holder(path: Path) -> int | None:
    """The pid that holds the kernel's lock on the state, which ends with its holder.

    https://github.com/hashicorp/terraform/blob/main/internal/states/statemgr/filesystem_lock_unix.go
    """
    try:
        # Opening takes no lock, and closing releases only locks of our own process, which has none.
        with path.open("rb+") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)
