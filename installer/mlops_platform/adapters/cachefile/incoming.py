"""Reads a cache file member by member: only the members of its index, in its order, by their digests."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mlops_platform.adapters.cachefile.index import LARGEST, File, damaged, read
from mlops_platform.base.errors import StepError, UsageError

STREAM = "-"
BLOCK = 1 << 20
GZIP = 31  # zlib's number for the gzip format
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.DIRTYPE: "a folder",
}


class Incoming:
    """A cache file that is being read.

    tarfile reads names and sizes of extended headers before a caller sees them, also of gigabytes. So this
    class reads the plain headers of 512 bytes itself, and every other kind of member is an error.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.moved: Callable[[int], None] = lambda _: None  # gets the bytes read of all files, unpacked
        self._stream = stream
        self._seekable = stream.seekable()
        self._done = 0
        self._hash = hashlib.sha256()  # of the index and its header
        self._reading_index = True
        self._end = _end(stream) if self._seekable else sys.maxsize
        found = self._any_header("its index")
        if not found.name.startswith("index/"):
            raise damaged(name, f"{found.name[:120]!r} is in the place of its index")
        if found.size > LARGEST:
            raise damaged(name, f"its index has {found.size} bytes")
        text = b"".join(self._data(found.size))
        if hashlib.sha256(text).hexdigest() != found.name.removeprefix("index/"):
            raise damaged(name, "its index is not what was written")
        self.index = read(text, name)
        self._reading_index = False

    def require_digest(self, wanted: str) -> None:
        """Check the whole file before anything of it is used. Raises UsageError for a stream, StepError.

        The digest has the bytes from which the index was read, and the index has those of all members: a file
        that is changed after this check is noticed.
        """
        if not self._seekable:
            raise UsageError("--sha256 needs a file: a stream is used while it arrives", hint="name a file")
        here = self._stream.tell()
        while block := self._stream.read(BLOCK):
            self._hash.update(block)
        self._stream.seek(here)
        seen = self._hash.hexdigest()
        if seen != wanted:
            raise StepError(
                f"{self.name} has another SHA-256 than the one given",
                why=f"given {wanted}\nseen  {seen}",
                hint="find out where the file was changed: what is in it will run on this machine",
                command=f"sha256sum {self.name}",
            )

    def file(self, wanted: File, target: Path, mode: int) -> None:
        """Unpack a file of a program or chart. Raises StepError if it is not what the index says."""
        name = f"files/{wanted.sha256}.gz"
        self._write(name, self._unpacked(self._data(self._header(name)), name, wanted.size), wanted, target)
        target.chmod(mode)

    def blob(self, digest: str, target: Path) -> None:
        """Copy a blob of an image. Raises StepError as `file` does."""
        name, wanted = f"blobs/{digest}", File(sha256=digest, size=self.index.blobs[digest])
        size = self._header(name)
        if size != wanted.size:
            raise self._wrong(name, f"has {size} bytes; the index says {wanted.size}")
        self._write(name, self._data(size), wanted, target)
        target.chmod(0o644)

    def skip_file(self, wanted: File) -> None:
        self._skip(self._header(f"files/{wanted.sha256}.gz"))
        self._count(wanted.size)

    def skip_blob(self, digest: str) -> None:
        self._skip(self._header(f"blobs/{digest}"))
        self._count(self.index.blobs[digest])

    def finish(self) -> None:
        """Check that the file ends after the last member of its index."""
        header = self._exactly(tarfile.BLOCKSIZE)
        if header.strip(b"\0"):
            raise damaged(self.name, "it has more members than its index")

    def _header(self, wanted: str) -> int:
        """Read the header of the next member, which must be the wanted file; return its size in the file."""
        found = self._any_header(wanted)
        if found.name != wanted:
            raise damaged(self.name, f"{found.name[:120]!r} is in the place of {wanted}")
        return found.size

    def _any_header(self, wanted: str) -> tarfile.TarInfo:
        try:
            found = tarfile.TarInfo.frombuf(self._exactly(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise damaged(self.name, f"{wanted}: {error}") from error
        if found.type != tarfile.REGTYPE:
            kind = _KINDS.get(found.type, "an entry of another kind")
            raise damaged(self.name, f"{found.name[:120]!r} is {kind}; only files are allowed")
        if found.size < 0:
            raise self._wrong(wanted, "has a negative size")
        return found

    def _data(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            block = self._exactly(min(left, BLOCK))
            left -= len(block)
            yield block
        self._exactly(-size % tarfile.BLOCKSIZE)

    def _unpacked(self, packed: Iterator[bytes], name: str, most: int) -> Iterator[bytes]:
        """Decompress at most one byte more than the index says: a small file can unpack to a full disk."""
        unpack = zlib.decompressobj(GZIP)
        left = most + 1
        for block in packed:
            rest, more = block, True
            while more and left and not unpack.eof:
                limit = min(BLOCK, left)
                try:
                    found = unpack.decompress(rest, limit)
                except zlib.error as error:
                    raise self._wrong(name, f"cannot be unpacked: {error}") from error
                left -= len(found)
                yield found
                rest = unpack.unconsumed_tail
                more = bool(rest) or len(found) == limit  # zlib may hold output without any input left
            if not left or (unpack.eof and (rest or unpack.unused_data)):
                raise self._wrong(name, f"is larger than the {most} bytes of the index")
        if not unpack.eof:
            raise self._wrong(name, "ends early")

    def _write(self, name: str, blocks: Iterator[bytes], wanted: File, target: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with target.open("xb") as made:
            for block in blocks:
                made.write(block)
                digest.update(block)
                size += len(block)
                self._count(len(block))
        if (digest.hexdigest(), size) != (wanted.sha256, wanted.size):
            raise self._wrong(name, f"has the SHA-256 {digest.hexdigest()} and {size} bytes")

    def _wrong(self, name: str, why: str) -> StepError:
        return damaged(self.name, f"{name} {why}")

    def _count(self, size: int) -> None:
        self._done += size
        self.moved(self._done)

    def _skip(self, size: int) -> None:
        """Pass over the data of a member; in a file by its position."""
        whole = size + -size % tarfile.BLOCKSIZE
        if not self._seekable:
            for _ in self._data(size):
                pass
        elif self._stream.tell() + whole > self._end:
            raise damaged(self.name, "it ends early")
        else:
            self._stream.seek(whole, os.SEEK_CUR)

    def _exactly(self, size: int) -> bytes:
        try:
            found = self._stream.read(size) if size else b""
        except OSError as error:
            raise StepError(
                f"{self.name} cannot be read", why=str(error), hint="copy the file again"
            ) from error
        if len(found) < size:
            raise damaged(self.name, "it ends early")
        if self._reading_index:
            self._hash.update(found)
        return found


@contextmanager
def opened(name: str, stdin: BinaryIO) -> Iterator[Incoming]:
    """Open a cache file, or stdin for `-`. Raises UsageError, and the errors of its index."""
    if name == STREAM:
        if stdin.isatty():
            raise UsageError("- reads the file from stdin, and that is a terminal", hint="name a file")
        yield Incoming(stdin, "stdin")
        return
    path = Path(name)
    try:
        # A named pipe would wait for its writer; it can be given as stdin.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{name} is not a file", hint="name a file that `cache export` has written")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{name} cannot be read", why=str(error), hint="name a file that `cache export` has written"
        ) from error
    with stream:
        yield Incoming(stream, name)


def _end(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size
