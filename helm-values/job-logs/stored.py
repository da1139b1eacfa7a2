"""Logs in the bucket, as objects `PROJECT/JOB/POD/CONTAINER/OFFSET.log`, each a part of the log.

A line has the kubelet's timestamp before it: a collector that starts again continues after the last one. An
object cannot be appended to, so the last part is written again as it grows, up to `PART` bytes. Between the
parts of a log that exceeded its limit there is a gap: the offset of a part is that in the whole log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PART = 256 * 1024
HEAD = 4  # parts at the beginning that are kept in a log that exceeds its limit
DONE = "done.json"  # written last: how the container ended
_SECRET = Path("/run/secrets/bucket")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?")
_PART_NAME = re.compile(r"([0-9]{15})\.log")
# As the kubelet writes it: nine digits of a second, so that texts compare like times.
_STAMP = re.compile(rb"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}\S{1,6}) ", re.MULTILINE)


def require_names(*names: str) -> None:
    """Raise ValueError unless all are names of objects or values of labels: they are parts of keys."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name: {name[:60]!r}")


class Bucket:
    """The component's bucket in the object store."""

    def __init__(self, secret: Path = _SECRET, client: Any = None) -> None:
        def read(key: str) -> str:
            file = secret / key
            return file.read_text() if file.is_file() else ""

        self.name = read("name")
        self._s3 = client or boto3.client(
            "s3",
            endpoint_url=read("endpoint") or None,
            region_name=read("region") or None,
            config=Config(connect_timeout=3, read_timeout=15, max_pool_connections=16),
        )

    def put(self, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes | None:
        """The contents of an object; None if there is none."""
        try:
            found: bytes = self._s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return found

    def objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Every object below a prefix, in the order of its key: Key, Size, LastModified."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            yield from page.get("Contents", ())

    def folders(self, prefix: str) -> list[str]:
        """The names one level below a prefix that ends in / or is empty."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix, Delimiter="/"
        )
        found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return [each.removeprefix(prefix).rstrip("/") for each in found]

    def delete(self, *keys: str) -> None:
        for start in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            answer = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})
            if failed := answer.get("Errors"):
                raise OSError(f"{failed[0]['Key']}: {failed[0].get('Message', failed[0]['Code'])}")


def key_of(prefix: str, offset: int) -> str:
    return f"{prefix}{offset:015}.log"


def parts(bucket: Bucket, prefix: str) -> list[tuple[int, int]]:
    """Offset and size of each part of a log."""
    found = []
    for each in bucket.objects(prefix):
        if match := _PART_NAME.fullmatch(each["Key"].removeprefix(prefix)):
            found.append((int(match[1]), each["Size"]))
    return found


@dataclass
class Log:
    """The log of one container, for its only writer. No method does anything in the background."""

    bucket: Bucket
    prefix: str
    limit: int
    done: bool = False
    _parts: list[tuple[int, int]] = field(default_factory=list)  # complete ones
    _offset: int = 0  # of the last part, which still grows
    _last: bytearray = field(default_factory=bytearray)
    _unwritten: bool = False
    _stamp: bytes = b""  # of the last line
    _same: int = 0  # lines with this timestamp

    def load(self) -> None:
        """Continue after what is stored, if there is something."""
        self.done = self.bucket.get(f"{self.prefix}{DONE}") is not None
        found = parts(self.bucket, self.prefix)
        if self.done or not found:
            return
        *self._parts, (self._offset, _) = found
        self._last = bytearray(self.bucket.get(key_of(self.prefix, self._offset)) or b"")
        text = bytes(self._last)
        if not _STAMP.search(text) and self._parts:  # the end of a very long line
            text = self.bucket.get(key_of(self.prefix, self._parts[-1][0])) or b""
        if stamps := _STAMP.findall(text):
            self._stamp, self._same = stamps[-1], stamps.count(stamps[-1])

    @property
    def since(self) -> str:
        """The time after which lines are wanted, for the API server, which reads whole seconds."""
        return f"{self._stamp[:19].decode()}{self._stamp[29:].decode()}" if self._stamp else ""

    @property
    def dirty(self) -> bool:
        return self._unwritten

    @property
    def delay(self) -> float:
        """Seconds until the last part is written again: longer for a large one, which costs more."""
        return 1 + 4 * len(self._last) / PART

    @property
    def full(self) -> bool:
        return len(self._last) >= PART

    def news(self) -> News:
        """A filter of the lines that are not stored yet, for a stream that begins at `since`."""
        return News(self._stamp, self._same)

    def append(self, text: bytes) -> None:
        for stamp in _STAMP.findall(text):
            self._same = self._same + 1 if stamp == self._stamp else 1
            self._stamp = stamp
        self._last += text
        self._unwritten = self._unwritten or bool(text)

    def write(self) -> None:
        """Write the last part; begin another one if it is full, and drop the oldest ones over the limit."""
        if self._unwritten:
            self.bucket.put(key_of(self.prefix, self._offset), bytes(self._last))
            self._unwritten = False
        if not self.full:
            return
        self._parts.append((self._offset, len(self._last)))
        self._offset, self._last = self._offset + len(self._last), bytearray()
        dropped = []
        while sum(size for _, size in self._parts) > self.limit and len(self._parts) > HEAD + 1:
            dropped.append(key_of(self.prefix, self._parts.pop(HEAD)[0]))
        self.bucket.delete(*dropped)

    def finish(self, end: dict[str, Any]) -> None:
        """Write what is left, and how the container ended; `complete`: its log was read whole."""
        self.write()
        self.bucket.put(f"{self.prefix}{DONE}", json.dumps(end).encode())
        self.done = True


class News:
    """A filter of a stream's lines: those up to a timestamp are stored already.

    Several lines may have the last timestamp; `same` of them are stored.
    """

    def __init__(self, stamp: bytes, same: int) -> None:
        self._stamp, self._same, self._rest = stamp, same, b""

    def feed(self, data: bytes) -> bytes:
        """The new lines that are complete now; of a very long line, what is there."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = b"".join(line + b"\n" for line in lines if self._new(line))
        if len(self._rest) > PART:
            found += self._rest if self._new(self._rest) else b""
            self._rest, self._stamp = b"", b""
        return found

    def end(self) -> bytes:
        """What is left: a last line without its end."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest and self._new(rest) else b""

    def _new(self, line: bytes) -> bool:
        if not self._stamp:
            return True
        match = _STAMP.match(line)
        if match and match[1] > self._stamp:
            self._stamp = b""  # lines are in the order of time: all others are new
            return True
        if match and match[1] == self._stamp and not self._same:
            return True
        self._same -= bool(match and match[1] == self._stamp)
        return False
