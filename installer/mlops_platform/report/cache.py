"""The shared cache: its entries with size and users, and the removal of unused ones."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.buildonce import exclude_builders, remove_tree
from mlops_platform.adapters.images.store import Blob, Store, read_image, read_layer
from mlops_platform.base.paths import Paths
from mlops_platform.report.cache_needs import needs
from mlops_platform.run.context import Context

PROGRAM, IMAGE, LAYER, CHART, BUILD_CACHE, REST = "program", "image", "layer", "chart", "build cache", "rest"
RUNNING = "running"  # in `used_by`: no environment needs this version, but processes of it run


@dataclass(frozen=True)
class Entry:
    """One entry of the cache. `size` is bytes on disk, `last_used` seconds since 1970.

    `used_by` names the environments that need it, by their current files and recipes. A layer is an entry of
    its own, because images share layers; an image's size is that of its archive.
    """

    kind: str
    name: str
    size: int
    used_by: tuple[str, ...]
    last_used: float


@dataclass(frozen=True)
class _Thing:
    """A candidate for an entry: `keys` of an image or program; a layer has the keys of its images."""

    kind: str
    name: str
    keys: frozenset[str]
    paths: tuple[Path, ...]


def show(paths: Paths, contexts: Iterable[Context]) -> list[Entry]:
    """All entries of the cache, by kind, the largest first."""
    users = needs(contexts)
    return _sorted(_entry(thing, users) for thing in _things(paths.cache))


def prune(paths: Paths, keep_keys: Iterable[str], *, everything: bool = False) -> list[Entry]:
    """Remove build caches, files of killed builds, and programs and images whose key is not kept.

    Pass `needs()` of all environments. Running programs and charts are kept too, unless `everything` is set.
    Returns the removed entries. Raises LockedError during a build.
    """
    kept = frozenset() if everything else frozenset(keep_keys)
    removed: list[Entry] = []
    with exclude_builders(paths.cache):
        for thing in _things(paths.cache):
            if thing.kind == CHART and not everything:
                continue
            if thing.keys & kept or (_runs(thing) and not everything):
                continue
            removed.append(_entry(thing, {}))
            for path in thing.paths:
                _remove(path)
    return _sorted(removed)


def _things(cache: Path) -> Iterator[_Thing]:
    """Images come before their layers: a record must not outlive the files that it names."""
    store = Store(cache)
    images = {file.stem: image for file in _in(store.records) if (image := read_image(file))}
    for key, image in images.items():
        files = (store.image_record(key), store.archive(key), store.path(image.manifest))
        yield _Thing(IMAGE, key, frozenset({key}), (*files, store.path(image.config)))
    layers: dict[Blob, list[Path]] = {blob: [] for image in images.values() for blob in image.layers}
    for record in _in(store.layers):
        if layer := read_layer(record):
            layers.setdefault(layer.blob, []).append(record)  # two recipes can produce the same bytes
    for blob, records in layers.items():
        users = frozenset(key for key, image in images.items() if blob in image.layers)
        kinds = {record.name.partition("-")[0]: None for record in records}
        yield _Thing(LAYER, " ".join([*kinds, blob.digest[:12]]), users, (*records, store.path(blob)))
    for folder in _in(cache / "programs"):
        yield _Thing(PROGRAM, folder.name, frozenset({folder.name}), (folder,))
    for file in _in(cache / "charts"):
        yield _Thing(CHART, file.name, frozenset({file.name}), (file,))
    for folder in _in(cache / "build"):
        yield _Thing(BUILD_CACHE, folder.name, frozenset(), (folder,))
    known = {path for image in images.values() for path in map(store.path, image.blobs)}
    known |= {path for blob, records in layers.items() for path in (*records, store.path(blob))}
    known |= {path for key in images for path in (store.image_record(key), store.archive(key))}
    stored = [*_in(store.records), *_in(store.archives), *_in(store.layers), *_in(store.blobs)]
    lost = [path for path in stored if path not in known]
    lost += [*cache.glob("*/.*"), *store.root.glob("*/.*"), *store.blobs.glob(".*")]
    if lost:
        yield _Thing(REST, "killed builds, earlier formats", frozenset(), tuple(lost))


def _in(folder: Path) -> list[Path]:
    """The complete entries of a folder: a builder's working folder starts with a dot."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []


def _entry(thing: _Thing, users: Mapping[str, tuple[str, ...]]) -> Entry:
    used_by = tuple(sorted({name for key in thing.keys for name in users.get(key, ())}))
    if not used_by and _runs(thing):
        used_by = (RUNNING,)
    there = [path for path in thing.paths if path.exists()]
    last = max((path.stat().st_mtime for path in there), default=0.0)
    return Entry(thing.kind, thing.name, sum(map(_size, there)), used_by, last)


def _runs(thing: _Thing) -> bool:
    """True: a process runs one of its programs. Compared by inode, because paths differ in a node."""
    if thing.kind != PROGRAM:
        return False
    files = {(status.st_dev, status.st_ino) for f in thing.paths[0].iterdir() if (status := f.stat())}
    return bool(files & set(_executed()))


def _executed() -> Iterator[tuple[int, int]]:
    import psutil  # imported at use: start-up time

    for pid in psutil.pids():
        try:
            status = Path(f"/proc/{pid}/exe").stat()  # psutil has only the path, which differs in a node
        except OSError:  # ended in the meantime, a kernel thread, or not ours to see
            continue
        yield status.st_dev, status.st_ino


def _size(path: Path) -> int:
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_blocks * 512
    size = 0
    for folder, _, files in os.walk(path):
        size += sum(os.lstat(f"{folder}/{name}").st_blocks * 512 for name in files)
    return size


def _remove(path: Path) -> None:
    """Rename first: a half-deleted program folder would look complete."""
    if not path.exists():
        return
    if path.is_dir() and not path.name.startswith("."):
        path = path.rename(path.with_name(f".{path.name}.pruned"))
    remove_tree(path)


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.kind, -entry.size, entry.name))
