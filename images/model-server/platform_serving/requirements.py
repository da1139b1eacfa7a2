"""The packages that a model names in requirements.txt, compared with those of this image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

# The client without its server has all that loads a model.
_INSTEAD = {"mlflow": "mlflow-skinny"}


@dataclass(frozen=True)
class Compared:
    """`missing` are packages that the image does not have, `other` those that it has in another version."""

    missing: tuple[str, ...]
    other: tuple[str, ...]


def compare(file: Path) -> Compared:
    """Compare a model's requirements.txt, if it has one. Lines that name no package are left out."""
    missing, other = [], []
    for wanted in _wanted(file) if file.is_file() else ():
        version = str(wanted.specifier).removeprefix("==")
        title = f"{wanted.name} {version}".rstrip()
        try:
            found = metadata.version(_INSTEAD.get(wanted.name.lower(), wanted.name))
        except metadata.PackageNotFoundError:
            missing.append(f"model needs {title}, the runtime has none")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            other.append(f"model needs {title}, the runtime has {found}")
    return Compared(tuple(missing), tuple(other))


def _wanted(file: Path) -> Iterator[Requirement]:
    for line in file.read_text().splitlines():
        text = line.partition(" #")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            found = Requirement(text)
        except InvalidRequirement:  # a path or an address
            continue
        if not found.url and (found.marker is None or found.marker.evaluate()):
            yield found
