"""Layers: files of a tree, less those of a base, in a tar that is the same in every build."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.images.store import Blob, Packed
from mlops_platform.adapters.process import run
from mlops_platform.base.cancel import Cancel

_BLOCK = 1 << 20
_ZSTD_SECONDS = 300.0
_EARLIEST = 315532800  # 1980: zip files have no earlier date, and Python programs zip their own sources


@dataclass(frozen=True)
class Entry:
    """Entry of a layer. `path` has no leading slash; `source` has the bytes of a regular file."""

    path: str
    kind: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    link: str = ""
    source: Path | None = None
    inode: int = 0
    content: bytes = b""


@dataclass(frozen=True)
class Fingerprint:
    """Properties of a file; a layer above has the file again if one of them differs."""

    kind: bytes
    mode: int
    uid: int
    gid: int
    link: str
    size: int
    digest: str


def tree(root: Path, prefix: str = "") -> list[Entry]:
    """Return an entry for everything below `root` except sockets and devices."""
    found: list[Entry] = []
    for child in sorted(os.scandir(root), key=lambda entry: entry.name):
        status = child.stat(follow_symlinks=False)
        path, source = f"{prefix}{child.name}", Path(child.path)
        shape = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        if stat.S_ISLNK(status.st_mode):
            found.append(Entry(path, tarfile.SYMTYPE, 0o777, *shape[1:], link=str(source.readlink())))
        elif stat.S_ISDIR(status.st_mode):
            found.append(Entry(path, tarfile.DIRTYPE, *shape))
            found += tree(source, f"{path}/")
        elif stat.S_ISREG(status.st_mode):
            inode = status.st_ino if status.st_nlink > 1 else 0
            found.append(Entry(path, tarfile.REGTYPE, *shape, source=source, inode=inode))
    return found


def file(path: str, source: Path) -> Entry:
    """Return the entry of a source file: owned by root, with the mode that git stores."""
    executable = source.stat().st_mode & 0o100
    return Entry(path.lstrip("/"), tarfile.REGTYPE, 0o755 if executable else 0o644, source=source)


def folder(path: str, mode: int = 0o755, owner: int = 0) -> Entry:
    return Entry(path.strip("/"), tarfile.DIRTYPE, mode, owner, owner)


def text(path: str, content: str) -> Entry:
    """Return the entry of a text; owned by root, readable by all."""
    return Entry(path.lstrip("/"), tarfile.REGTYPE, 0o644, content=content.encode())


def placed(entries: Iterable[Entry], below: Mapping[str, Fingerprint]) -> list[Entry]:
    """Move entries into the folders that the layers below have, and add those folders.

    An unpacker invents a folder that has no entry. A folder `bin` over the base's link to `usr/bin`
    would remove all of `usr/bin` from /bin.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        head, _, name = entry.path.rpartition("/")
        real = _followed(head, below)
        parts = real.split("/") if real else []
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            seen = below.get(path)
            found.setdefault(
                path, Entry(path, tarfile.DIRTYPE, seen.mode, seen.uid, seen.gid) if seen else folder(path)
            )
        path = f"{real}/{name}".lstrip("/")
        found[path] = replace(entry, path=path)
    return list(found.values())


def _followed(path: str, below: Mapping[str, Fingerprint]) -> str:
    """Follow the links of the layers below in a folder's path."""
    real = ""
    for part in path.split("/") if path else ():
        real = f"{real}/{part}".lstrip("/")
        for _ in range(8):  # more links in a row are a loop
            seen = below.get(real)
            if not seen or not seen.link:
                break
            head = "" if seen.link.startswith("/") else posixpath.dirname(real)
            real = posixpath.normpath(f"{head}/{seen.link}").lstrip("/")
    return real


def without(entries: Iterable[Entry], below: Mapping[str, Fingerprint]) -> list[Entry]:
    """Return the entries of a layer on top of `below`: new, changed, a whiteout if removed."""
    entries = list(entries)
    paths = {entry.path for entry in entries}
    changed = [entry for entry in entries if not _same(entry, below.get(entry.path))]
    gone = [path for path in below if path not in paths]
    for path in gone:
        head, _, name = path.rpartition("/")
        if head in paths or not head:  # the whiteout of a folder covers its contents
            changed.append(Entry(f"{head}/.wh.{name}".lstrip("/"), tarfile.REGTYPE, 0o644))
    return changed


def _same(entry: Entry, below: Fingerprint | None) -> bool:
    if below is None:
        return False
    shape = (entry.kind, entry.mode, entry.uid, entry.gid, entry.link)
    if shape != (below.kind, below.mode, below.uid, below.gid, below.link):
        return False
    if entry.source is None:
        return True
    if entry.source.stat().st_size != below.size:
        return False
    with entry.source.open("rb") as opened:
        return _digest_of(opened) == below.digest


def fingerprints(layers: Iterable[Path], *, contents: bool = True) -> dict[str, Fingerprint]:
    """Return all files of these layers, lowest first; faster, without digests, if not `contents`."""
    seen: dict[str, Fingerprint] = {}
    for layer in layers:
        with tarfile.open(layer, "r:") as tar:
            for member in tar:
                head, _, name = member.name.rpartition("/")
                if name.startswith(".wh."):
                    hidden = f"{head}/{name[4:]}".lstrip("/")
                    for path in [p for p in seen if p == hidden or p.startswith(hidden + "/")]:
                        del seen[path]
                elif member.islnk():  # a hard link has the name of the file with its bytes
                    seen[member.name] = seen[member.linkname]
                else:
                    digest = _digest_of(tar.extractfile(member)) if contents and member.isreg() else ""
                    link = member.linkname if member.issym() else ""
                    shape = (member.mode, member.uid, member.gid, link, member.size)
                    seen[member.name] = Fingerprint(member.type, *shape, digest)
    return seen


def read_texts(layers: Iterable[Path], paths: Iterable[str]) -> dict[str, str]:
    """Return the text of files as the topmost layer has them; files in no layer are left out."""
    wanted = set(paths)
    found: dict[str, str] = {}
    for layer in layers:
        with tarfile.open(layer, "r:") as tar:
            for member in tar:
                opened = tar.extractfile(member) if member.name in wanted and member.isreg() else None
                if opened:
                    found[member.name] = opened.read().decode()
    return found


def _digest_of(opened: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    while opened and (block := opened.read(_BLOCK)):
        digest.update(block)
    return digest.hexdigest()


def pack(entries: Iterable[Entry], target: Path, key: str, cancel: Cancel) -> Packed:
    """Write a compressed tar that depends on the entries and `key` (hexadecimal) only.

    The time of all files comes from the key. A web server makes its ETag of time and size: with a
    constant time two versions of a page could have the same one, and browsers would show the old page.
    """
    time = _EARLIEST + int(key[:7], 16)
    plain = target.with_name(f"{target.name}.tar")
    first_of: dict[int, str] = {}
    with plain.open("wb") as opened:
        out = Hashing(opened)
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, copybufsize=_BLOCK) as tar:  # type: ignore[call-overload]
            for entry in sorted(entries, key=lambda e: e.path.split("/")):
                if entry.inode:
                    first = first_of.setdefault(entry.inode, entry.path)
                    if first != entry.path:
                        entry = replace(entry, kind=tarfile.LNKTYPE, link=first, source=None)
                _add(tar, entry, time)
    # containerd 1.6 spends most of an import on SHA-256, twice for a plain tar: it imports a compressed
    # layer in two thirds of the time, on a third of the disk. zstd's output does not depend on the
    # number of threads.
    _zstd(["-3", "-T0", str(plain), "-o", str(target)], cancel)
    plain.unlink()
    with target.open("rb") as packed:
        return Packed(Blob(_digest_of(packed), target.stat().st_size), out.digest.hexdigest())


def unpacked(packed: Path, target: Path, cancel: Cancel) -> Path:
    """Write the plain tar of a layer to `target` if it is missing."""
    if not target.exists():
        _zstd(["-d", str(packed), "-o", str(target)], cancel)
    return target


def _zstd(arguments: Sequence[str], cancel: Cancel) -> None:
    run(
        tethered(["zstd", "-q", *arguments]),
        seconds=_ZSTD_SECONDS,
        cancel=cancel,
        what="compressing a layer",
        hint="install the package zstd if it is missing",
    )


def _add(tar: tarfile.TarFile, entry: Entry, time: int) -> None:
    info = tarfile.TarInfo(entry.path)
    info.type, info.mode, info.uid, info.gid = entry.kind, entry.mode, entry.uid, entry.gid
    info.linkname, info.mtime = entry.link, time
    if entry.source is not None:
        with entry.source.open("rb") as opened:
            info.size = os.fstat(opened.fileno()).st_size
            tar.addfile(info, opened)
    else:
        info.size = len(entry.content)
        tar.addfile(info, io.BytesIO(entry.content))


class Hashing:
    """File that computes digest and size of its contents."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._out.write(data)

    def tell(self) -> int:
        return self.size
