"""A small cache with programs, images and charts, and cache files of it, also wrong ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.adapters.cachefile import Loaded, Wanted, load, opened, save, survey
from mlops_platform.adapters.images import Images
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent

from tests.unit.adapters.images import recipes

Index = dict[str, Any]
BASE = "files: {/base: content}"
APP = "base: base\nfiles: {/app: content}"
OTHER = "base: base\nfiles: {/other: content}"


@dataclass(frozen=True)
class Member:
    """A member of a cache file."""

    name: str
    data: bytes
    kind: bytes = tarfile.REGTYPE
    link: str = ""

    @property
    def info(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.name)
        info.size, info.type, info.linkname = len(self.data), self.kind, self.link
        return info


def fill(cache: Path, folder: Path) -> Images:
    """Fill a cache with two programs, three images with one base, a chart as a folder and one as a file."""
    built = recipes.images(recipes.write(folder, base=BASE, app=APP, other=OTHER), cache)
    for name in ("base", "app", "other"):
        built.build(name, Silent(), Cancel())
    for key, size in (("tool-0123456789ab", 200_000), ("second-0123456789ab", 10)):
        program = cache / "programs" / key
        program.mkdir(parents=True)
        (program / "tool").write_bytes(b"\x7fELF" + key.encode() * (size // 10))
        (program / "tool").chmod(0o755)
    templates = cache / "charts/upstream-v1.0.0-0123456789ab/templates"
    templates.mkdir(parents=True)
    (templates / "service.yaml").write_text("kind: Service\n")
    (templates.parent / ".helmignore").write_text("*.md\n")
    (cache / "charts/minio-5.4.0-0123456789ab.tgz").write_bytes(b"archive of a chart")
    return built


def export(cache: Path, file: Path) -> None:
    index, missing = survey(cache, Wanted.everything(cache), "1.0")
    assert missing == []
    with file.open("wb") as out:
        save(index, cache, out, lambda done: None)


def bring(file: Path, cache: Path, sha256: str = "") -> Loaded:
    """Import a file."""
    with opened(str(file), io.BytesIO()) as incoming:
        if sha256:
            incoming.require_digest(sha256)
        return load(incoming, cache, Silent())


def contents(cache: Path) -> dict[str, tuple[bytes, int]]:
    """All files of a cache with their modes, except locks and what is made again from blobs."""
    return {
        path.relative_to(cache).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(cache.rglob("*"))
        if path.is_file() and path.relative_to(cache).parts[0] != "locks" and path.parent.name != "archives"
    }


def members(file: Path) -> list[Member]:
    with tarfile.open(file) as tar:
        return [Member(info.name, (tar.extractfile(info) or io.BytesIO()).read()) for info in tar]


def write(file: Path, changed: list[Member]) -> None:
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for member in changed:
            tar.addfile(member.info, io.BytesIO(member.data))


def with_index(file: Path, change: Callable[[Index], None]) -> None:
    """Change the index of a file."""
    first, *rest = members(file)
    index = json.loads(first.data)
    change(index)
    write(file, [index_member(json.dumps(index).encode()), *rest])


def index_member(text: bytes) -> Member:
    return Member(f"index/{hashlib.sha256(text).hexdigest()}", text)
