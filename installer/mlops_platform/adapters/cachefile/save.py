"""Export of the cache: an index of the chosen entries, then their files in its order, as a plain tar."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from mlops_platform.adapters.buildonce import make_durable
from mlops_platform.adapters.cachefile import index as indexes
from mlops_platform.adapters.cachefile.incoming import BLOCK, GZIP, STREAM
from mlops_platform.adapters.cachefile.index import File, Index, Layer, Pieces
from mlops_platform.adapters.images.layer import Hashing
from mlops_platform.adapters.images.store import Store, read_image, read_layer
from mlops_platform.adapters.programs import ARCHITECTURE, find_go
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import LockedError, StepError, UsageError
from mlops_platform.base.files import is_there

_LEVEL = 1  # a Go program shrinks to 33 %; level 6 takes three times as long, for 29 %


@dataclass(frozen=True)
class Wanted:
    """Names of entries: programs, images and charts by their keys in the cache."""

    programs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name that changes if one of the entries does, for the caches of CI systems."""
        return f"{indexes.OS}-{ARCHITECTURE}-{short_digest([self.programs, self.images, self.charts])}"

    @classmethod
    def everything(cls, cache: Path) -> Wanted:
        """All entries of a cache."""
        records = (name.removesuffix(".json") for name in _names(Store(cache).records))
        return cls(_names(cache / "programs"), tuple(records), _names(cache / "charts"))


@dataclass(frozen=True)
class Saved:
    """A written cache file: its bytes and its SHA-256."""

    size: int
    sha256: str


def survey(cache: Path, wanted: Wanted, made_by: str) -> tuple[Index, list[str]]:
    """Make the index of the wanted entries; also return the names of those that the cache does not have.

    Raises StepError for entries that no build has made, and for files that cannot be read.
    """
    programs = {key: files for key in wanted.programs if (files := _files(cache / "programs" / key))}
    places = {name: cache / "charts" / name for name in wanted.charts}
    try:
        index = Index(
            format=1,
            made_by=made_by,
            os=indexes.OS,
            architecture=ARCHITECTURE,
            go=find_go().version,
            programs=programs,
            charts={name: files for name, place in places.items() if (files := _files(place))},
            archives={name: _file(place) for name, place in places.items() if place.is_file()},
            **_images(Store(cache), wanted.images),
        )
    except ValidationError as error:
        raise StepError(
            f"{cache} has an entry that `up` did not make",
            why=indexes.first_mistake(error),
            hint="remove the entry, or export without --all",
        ) from error
    found = {name for names in index.names.values() for name in names}
    return index, [name for name in (*wanted.programs, *wanted.images, *wanted.charts) if name not in found]


def _images(store: Store, keys: Iterable[str]) -> dict[str, Any]:
    """The fields of an index for the images that are complete."""
    read = {key: image for key in keys if (image := read_image(store.image_record(key)))}
    images = {key: image for key, image in read.items() if store.holds(*image.blobs)}
    used = {blob for image in images.values() for blob in image.layers}
    layers = {name: layer for name in _names(store.layers) if (layer := read_layer(store.layers / name))}
    return {
        "blobs": {blob.digest: blob.size for image in images.values() for blob in image.blobs},
        "layers": {
            name.removesuffix(".json"): Layer(blob=layer.blob.digest, diff=layer.diff)
            for name, layer in layers.items()
            if layer.blob in used
        },
        "images": {
            key: Pieces(
                manifest=image.manifest.digest,
                config=image.config.digest,
                layers=tuple(blob.digest for blob in image.layers),
            )
            for key, image in images.items()
        },
    }


def save(index: Index, cache: Path, out: IO[bytes], moved: Callable[[int], None]) -> Saved:
    """Write a cache file; `moved` gets the bytes of its files that are done.

    The same entries give the same bytes. Raises StepError if a file of the cache is not what it was.
    """
    counted = Hashing(out)
    text = index.text()
    _member(counted, f"index/{hashlib.sha256(text).hexdigest()}", [text], len(text))
    done = 0
    for source, wanted, packed in _sources(index, cache):
        checked = _Checked(source, wanted)
        if packed:
            blocks = list(_packed(checked.blocks()))
            _member(counted, f"files/{wanted.sha256}.gz", blocks, sum(map(len, blocks)))
        else:
            _member(counted, f"blobs/{wanted.sha256}", checked.blocks(), wanted.size)
        done += wanted.size
        moved(done)
    counted.write(bytes(2 * tarfile.BLOCKSIZE))
    counted.write(bytes(-counted.size % tarfile.RECORDSIZE))
    out.flush()
    return Saved(counted.size, counted.digest.hexdigest())


def _sources(index: Index, cache: Path) -> Iterator[tuple[Path, File, bool]]:
    """Yield the files in the order of their members; True: compressed there."""
    for folder, entries in (("programs", index.programs), ("charts", index.charts)):
        for name, files in entries.items():
            for path, file in files.items():
                yield cache / folder / name / path, file, True
    for name, file in index.archives.items():
        yield cache / "charts" / name, file, True
    store = Store(cache)
    for _, blobs in index.new_blobs():
        for digest in blobs:
            blob = index.blob(digest)
            yield store.path(blob), File(sha256=digest, size=blob.size), False


@dataclass(frozen=True)
class _Checked:
    """A file of the cache that is compared with its digest while it is read."""

    path: Path
    wanted: File

    def blocks(self) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for block in _blocks(self.path):
            digest.update(block)
            size += len(block)
            yield block
        if (digest.hexdigest(), size) != (self.wanted.sha256, self.wanted.size):
            raise StepError(
                f"{self.path} is damaged",
                why=f"its SHA-256 is {digest.hexdigest()}, not {self.wanted.sha256}",
                hint="remove it: the next `up` builds it again",
                command=f"rm {self.path}",
            )


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as opened:
            while block := opened.read(BLOCK):
                yield block
    except OSError as error:
        hint = "run the command again, as the user who runs `up`"
        raise StepError(f"{path} cannot be read", why=str(error), hint=hint) from error


def _packed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress in the gzip format, without time and name."""
    pack = zlib.compressobj(_LEVEL, wbits=GZIP)
    for block in blocks:
        yield pack.compress(block)
    yield pack.flush()


def _member(out: Hashing, name: str, blocks: Iterable[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    out.write(info.tobuf(tarfile.USTAR_FORMAT))
    for block in blocks:
        out.write(block)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def _files(folder: Path) -> dict[str, File]:
    """The files of a folder; empty if it is none."""
    found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return {path.relative_to(folder).as_posix(): _file(path) for path in found}


def _file(path: Path) -> File:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    return File(sha256=digest.hexdigest(), size=size)


def _names(folder: Path) -> tuple[str, ...]:
    """The complete entries of a folder: a builder's working folder starts with a dot."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))


@contextmanager
def written(name: str, stdout: IO[bytes], *, force: bool) -> Iterator[IO[bytes]]:
    """A new file, or stdout for `-`. The file appears when the block ends without an error, or not at all.

    Raises UsageError if there is one and not `force`, LockedError if another run writes it, StepError if it
    cannot be written.
    """
    if name == STREAM:
        if stdout.isatty():
            raise UsageError("- writes the file to stdout, and that is a terminal", hint="name a file")
        with _reported("stdout", Path()):
            yield stdout
        return
    target = Path(os.path.realpath(name))  # a link stays, and names the new file
    if is_there(target) and not (force and target.is_file()):
        replace = ", or replace it with --force" if target.is_file() else ""
        raise UsageError(f"{name} exists", hint=f"name another file{replace}")
    partial = target.with_name(f".{target.name}.partial")
    with _reported(name, target.parent), partial.open("ab") as out:  # not "wb": another run may write it
        _lock(out, partial, name)
        try:
            out.truncate(0)
            yield out
            out.flush()
            make_durable(partial)
            partial.replace(target)
            make_durable(target.parent, only_itself=True)
        finally:
            partial.unlink(missing_ok=True)


def _lock(out: IO[bytes], path: Path, name: str) -> None:
    """Lock the file. Another run renames it while it has the lock, so that it is then not at `path`."""
    try:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        own = os.fstat(out.fileno())
        if path.exists() and os.path.samestat(own, path.stat()):
            return
    except BlockingIOError:
        pass  # the error below
    raise LockedError(f"another run is writing {name}", hint="wait for its end, or name another file")


@contextmanager
def _reported(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of stdout has ended; the command line ends as programs do then
    except OSError as error:
        raise StepError(
            f"{name} cannot be written",
            why=str(error),
            hint="make room, or name a file in another folder",
            command=f"df -h {folder}",
        ) from error
