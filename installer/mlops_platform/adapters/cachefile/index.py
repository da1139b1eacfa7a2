"""Index of a cache file, its first member: the entries, their files by digest, and the machine they are for.

A cache file is a plain tar of regular files: `index/<SHA-256>`, then `files/<SHA-256>.gz` for each file of
the programs and charts, then `blobs/<SHA-256>` for each blob of the images, all in the index's order. Names
of members never become paths: the index has those, and they are checked here. Layers are compressed already,
and are stored once for all images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from mlops_platform.adapters.images.oci import REGISTRY
from mlops_platform.adapters.images.store import Blob, Image, Packed
from mlops_platform.adapters.programs import ARCHITECTURE, find_go
from mlops_platform.base.errors import PreflightError, StepError
from mlops_platform.base.humanize import plain
from mlops_platform.base.yaml.model import Strict

# Raise it if an older program cannot read the file.
FORMAT = 1
OS = "linux"
LARGEST = 16 * 2**20  # bytes of the index; one of 30 images has 150 kB
_LARGEST_FILE = 8**11  # bytes: a size in a tar header has eleven octal digits


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"not {what}: {value[:80]!r}")
        return value

    return AfterValidator(check)


def _inside(value: str) -> str:
    """Check a relative path: it must stay in its folder, and be one path in every spelling."""
    parts = value.split("/")
    if not value.isprintable() or len(value) > 400 or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"not a path inside of a folder: {value[:80]!r}")
    if any(len(part.encode()) > 255 for part in parts):
        raise ValueError(f"a name that is too long: {value[:80]!r}")
    return value


Word = Annotated[str, _matching("[0-9A-Za-z.+_-]{1,40}", "a name or version")]
Digest = Annotated[str, _matching("[0-9a-f]{64}", "a SHA-256")]
# A first character of this kind keeps out `..` and the working folders of builders, which start with a dot.
Name = Annotated[str, _matching("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", "a name of the cache")]
Key = Annotated[str, _matching("[a-z0-9][a-z0-9._-]{0,150}-[0-9a-f]{12}", "the key of an image")]
Record = Annotated[str, _matching("[a-z]{1,20}-[0-9a-f]{24}", "the key of a layer")]
Inside = Annotated[str, AfterValidator(_inside)]
Size = Annotated[int, Field(ge=0, lt=_LARGEST_FILE)]


class File(Strict):
    """A file of a program or chart."""

    sha256: Digest
    size: Size


class Layer(Strict):
    """Record of a layer: its blob, and the digest of its plain tar."""

    blob: Digest
    diff: Digest


class Pieces(Strict):
    """Record of an image: its blobs."""

    manifest: Digest
    config: Digest
    layers: tuple[Digest, ...] = Field(strict=False)  # a list in JSON

    @property
    def blobs(self) -> tuple[str, ...]:
        return (self.manifest, self.config, *self.layers)


class Index(Strict):
    """The contents of a cache file. A chart is a folder of `charts` or a file of `archives`."""

    format: Literal[1]
    made_by: Word
    os: Word
    architecture: Word
    go: Word
    programs: dict[Name, Annotated[dict[Name, File], Field(min_length=1)]]
    charts: dict[Name, Annotated[dict[Inside, File], Field(min_length=1)]]
    archives: dict[Name, File]
    blobs: dict[Digest, Size]
    layers: dict[Record, Layer]
    images: dict[Key, Pieces]

    @model_validator(mode="after")
    def _complete(self) -> Index:
        named = {digest for image in self.images.values() for digest in image.blobs}
        if named != set(self.blobs):
            raise ValueError("its images and blobs do not fit together")
        if any(layer.blob not in named for layer in self.layers.values()):
            raise ValueError("it has a layer of no image")
        if clash := set(self.charts) & set(self.archives):
            raise ValueError(f"there are two charts {min(clash)}")
        for files in self.charts.values():
            # A folder `a` beside a file `a`: one of them could not be written.
            if any(str(above) in files for path in files for above in PurePosixPath(path).parents):
                raise ValueError("a file and a folder have one name")
        return self

    @property
    def size(self) -> int:
        """Bytes of all its files, not compressed."""
        files = [*self.archives.values(), *(f for each in self._folders() for f in each.values())]
        return sum(file.size for file in files) + sum(self.blobs.values())

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of its entries, by kind."""
        charts = sorted([*self.charts, *self.archives])
        return {"programs": list(self.programs), "images": list(self.images), "charts": charts}

    @property
    def entries(self) -> int:
        return sum(map(len, self.names.values()))

    def _folders(self) -> Iterator[Mapping[str, File]]:
        yield from self.programs.values()
        yield from self.charts.values()

    def new_blobs(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the key of each image with those of its blobs that no image before it has.

        That is the order of the members.
        """
        seen: set[str] = set()
        for key, image in self.images.items():
            own = [digest for digest in dict.fromkeys(image.blobs) if digest not in seen]
            seen.update(own)
            yield key, own

    def image(self, key: str) -> Image:
        """The record of an image."""
        pieces = self.images[key]
        name, _, digest = key.rpartition("-")
        return Image(
            reference=f"{REGISTRY}/{name}:{digest}",
            manifest=self.blob(pieces.manifest),
            config=self.blob(pieces.config),
            layers=tuple(map(self.blob, pieces.layers)),
        )

    def layers_of(self, key: str) -> dict[str, Packed]:
        """The records of an image's layers, by their names."""
        own = set(self.images[key].layers)
        found = {name: layer for name, layer in self.layers.items() if layer.blob in own}
        return {name: Packed(self.blob(layer.blob), layer.diff) for name, layer in found.items()}

    def blob(self, digest: str) -> Blob:
        return Blob(digest, self.blobs[digest])

    def text(self) -> bytes:
        """Its JSON: the data of the first member."""
        return (json.dumps(self.model_dump(mode="json"), separators=(",", ":")) + "\n").encode()


def read(content: bytes, file: str) -> Index:
    """Check an index. Raises PreflightError for another machine or a newer format, StepError for mistakes."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(file, f"its index is no JSON: {type(error).__name__}") from error
    version = data.get("format") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise damaged(file, "its index names no format")
    if version > FORMAT:
        raise PreflightError(
            f"{file} has format {version}; this program reads format {FORMAT}",
            why=f"it was written by mlops-platform {str(data.get('made_by'))[:40]!r}",
            hint="install that version of mlops-platform, or export again with this one",
        )
    try:
        index = Index.model_validate(data)
    except (ValidationError, RecursionError) as error:
        raise damaged(file, first_mistake(error)) from error
    _require_this_machine(index, file)
    return index


def first_mistake(error: ValidationError | RecursionError) -> str:
    """One line about an index that does not fit the model."""
    if isinstance(error, RecursionError):
        return "its index is nested too deep"
    item = error.errors(include_url=False)[0]
    place = ".".join(str(part)[:80] for part in item["loc"] if part != "[key]")
    message = str(item["msg"]).removeprefix("Value error, ")
    return plain(f"its index: {place}: {message}" if place else f"its index: {message}")


def _require_this_machine(index: Index, file: str) -> None:
    if (index.os, index.architecture) != (OS, ARCHITECTURE):
        theirs = f"{index.os[:20]}/{index.architecture[:20]}"
        raise PreflightError(
            f"{file} is for {theirs}; this machine is {OS}/{ARCHITECTURE}",
            why="programs and images are built for one kind of processor",
            hint=f"export on a {OS}/{ARCHITECTURE} machine",
        )


def other_go(index: Index) -> str:
    """Why `up` here would not use the programs: their keys name the version of Go; '' if it would."""
    try:
        here = find_go().version
    except PreflightError:
        return f"Go {index.go} is needed to use what was imported, and Go is not installed"
    if here == index.go:
        return ""
    return f"built with Go {index.go}, and Go {here} is installed: `up` builds again until they are the same"


def damaged(file: str, why: str) -> StepError:
    """The error of a file that is not what `cache export` wrote."""
    return StepError(
        f"{file} is not a complete cache file",
        why=why,
        hint="copy the file again, or export it again with `mlops-platform cache export`",
    )
