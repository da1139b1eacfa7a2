"""Image store: blobs by digest, and records of the blobs of each layer and image."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlops_platform.adapters.buildonce import make_durable

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Blob:
    """File of the store: its name, the SHA-256 (hexadecimal), and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Packed:
    """Layer in the store: its compressed blob, and the SHA-256 (hexadecimal) of its plain tar."""

    blob: Blob
    diff: str


@dataclass(frozen=True)
class Image:
    """Image in the store. `size` is that of all compressed layers, those of bases included, in bytes."""

    reference: str
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (self.manifest, self.config, *self.layers)


class Store:
    """The folder cache/images. A record is written after its blobs and is valid while all of them exist."""

    def __init__(self, cache: Path) -> None:
        self.root = cache / "images"
        self.blobs = self.root / "blobs" / "sha256"
        self.archives = self.root / "archives"
        self.layers = self.root / "layers"
        self.records = self.root / "records"

    def layer_record(self, kind: str, key: str) -> Path:
        return self.layers / f"{kind}-{key[:24]}.json"

    def image_record(self, key: str) -> Path:
        return self.records / f"{key}.json"

    def archive(self, key: str) -> Path:
        return self.archives / f"{key}.tar"

    def path(self, blob: Blob) -> Path:
        return self.blobs / blob.digest

    def holds(self, *blobs: Blob) -> bool:
        paths = [(self.path(blob), blob.size) for blob in blobs]
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)

    def put(self, content: bytes) -> Blob:
        """Store a small blob; equal blobs are one file."""
        blob = Blob(hashlib.sha256(content).hexdigest(), len(content))
        if not self.holds(blob):
            self.blobs.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.blobs, prefix=".", delete=False) as made:
                made.write(content)
            self.adopt(Path(made.name), blob)
        return blob

    def adopt(self, made: Path, blob: Blob) -> None:
        """Move a file on the same disk into the store, its bytes first."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        made.chmod(0o644)
        make_durable(made)
        made.rename(self.path(blob))


def write(value: Packed | Image, record: Path) -> None:
    record.write_text(json.dumps(asdict(value), indent=1))


def read_layer(record: Path) -> Packed | None:
    """Read the record of a layer. None if it is missing or of another version of this program."""
    return _read(record, _packed)


def read_image(record: Path) -> Image | None:
    """Read the record of an image. None as for a layer."""
    return _read(record, _image)


def _packed(plain: Mapping[str, Any]) -> Packed:
    return Packed(Blob(**plain["blob"]), plain["diff"])


def _image(plain: Mapping[str, Any]) -> Image:
    return Image(
        reference=plain["reference"],
        manifest=Blob(**plain["manifest"]),
        config=Blob(**plain["config"]),
        layers=tuple(Blob(**layer) for layer in plain["layers"]),
    )


def _read(record: Path, made: Callable[[Mapping[str, Any]], _Record]) -> _Record | None:
    try:
        return made(json.loads(record.read_text()))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):  # the layer or image is built again
        return None
