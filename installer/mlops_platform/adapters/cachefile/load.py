"""Import of a cache file: each entry becomes visible when it is complete, by the rules of builders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mlops_platform.adapters.buildonce import build_once, no_pruning
from mlops_platform.adapters.cachefile.incoming import Incoming
from mlops_platform.adapters.cachefile.index import File, Index
from mlops_platform.adapters.images.store import Image, Packed, Store, read_image, read_layer, write
from mlops_platform.base.disk import require_room
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress

PROGRAMS, CHARTS, IMAGES = "programs", "charts", "images"
_RUNNABLE, _PLAIN = 0o755, 0o644


@dataclass
class Loaded:
    """Names of the entries that were imported, and of those that were in the cache before, by kind."""

    new: dict[str, list[str]] = field(default_factory=dict)
    there: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str, *, new: bool) -> None:
        (self.new if new else self.there).setdefault(kind, []).append(name)


def load(incoming: Incoming, cache: Path, progress: Progress) -> Loaded:
    """Import all entries that the cache does not have; a second run continues a killed one.

    Raises StepError for a damaged file, PreflightError if the disk is too small. What was imported before an
    error stays: it is complete.
    """
    require_room(cache, missing(incoming.index, cache))
    try:
        with no_pruning(cache):  # a blob without its image's record would be removed
            found = _Loading(incoming, cache, progress).run()
    except OSError as error:
        raise StepError(
            f"{cache} cannot be written",
            why=str(error),
            hint="make room, then run the same command again: it skips what is done",
            command=f"df -h {cache}",
        ) from error
    incoming.finish()
    return found


def missing(index: Index, cache: Path) -> int:
    """Bytes that the import will write."""
    store = Store(cache)
    size = 0
    for folder, entries in ((cache / "programs", index.programs), (cache / "charts", index.charts)):
        for name, files in entries.items():
            size += 0 if (folder / name).exists() else sum(file.size for file in files.values())
    size += sum(f.size for name, f in index.archives.items() if not (cache / "charts" / name).exists())
    return size + sum(size for digest, size in index.blobs.items() if not store.holds(index.blob(digest)))


class _Loading:
    """One import: the members of the file in their order."""

    def __init__(self, incoming: Incoming, cache: Path, progress: Progress) -> None:
        self._incoming = incoming
        self._index = incoming.index
        self._cache = cache
        self._store = Store(cache)
        self._progress = progress
        self._loaded = Loaded()

    def run(self) -> Loaded:
        for name, files in self._index.programs.items():
            self._folder(PROGRAMS, self._cache / "programs" / name, files, _RUNNABLE)
        for name, files in self._index.charts.items():
            self._folder(CHARTS, self._cache / "charts" / name, files, _PLAIN)
        for name, file in self._index.archives.items():
            self._archive(self._cache / "charts" / name, file)
        for key, blobs in self._index.new_blobs():
            for digest in blobs:
                self._blob(digest)
            self._image(key)
        return self._loaded

    def _folder(self, kind: str, target: Path, files: Mapping[str, File], mode: int) -> None:
        def copy(work: Path) -> Path:
            for path, file in files.items():
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                self._incoming.file(file, work / path, mode)
            return work

        new = self._made(target, copy)
        if not new:
            for file in files.values():
                self._incoming.skip_file(file)
        self._loaded.add(kind, target.name, new=new)

    def _archive(self, target: Path, file: File) -> None:
        def copy(work: Path) -> Path:
            self._incoming.file(file, work / "archive", _PLAIN)
            return work / "archive"

        new = self._made(target, copy)
        if not new:
            self._incoming.skip_file(file)
        self._loaded.add(CHARTS, target.name, new=new)

    def _blob(self, digest: str) -> None:
        blob = self._index.blob(digest)

        def copy(work: Path) -> Path:
            self._incoming.blob(digest, work / "blob")
            return work / "blob"

        if not self._made(self._store.path(blob), copy, lambda: self._store.holds(blob)):
            self._incoming.skip_blob(digest)

    def _image(self, key: str) -> None:
        """Write the records of an image and of its layers, whose blobs are there.

        A complete record stays: the same recipe gives other bytes after a security update of Debian.
        """
        store = self._store
        for name, layer in self._index.layers_of(key).items():
            record = store.layers / f"{name}.json"

            def whole(record: Path = record) -> bool:
                found = read_layer(record)
                return found is not None and store.holds(found.blob)

            self._made(record, partial(_written, layer), whole)
        record = store.image_record(key)

        def complete() -> bool:
            found = read_image(record)
            return found is not None and store.holds(*found.blobs)

        new = self._made(record, partial(_written, self._index.image(key)), complete)
        self._loaded.add(IMAGES, key, new=new)

    def _made(
        self, target: Path, make: Callable[[Path], Path], whole: Callable[[], bool] = lambda: True
    ) -> bool:
        """Build a target in the cache; False if it is there, also by another run that was waited for."""
        made = False

        def noting(work: Path) -> Path:
            nonlocal made
            made = True
            return make(work)

        build_once(self._cache, target, noting, whole=whole, progress=self._progress)
        return made


def _written(value: Packed | Image, work: Path) -> Path:
    write(value, work / "record")
    return work / "record"
