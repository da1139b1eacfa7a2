"""Small recipes for tests: images of files only, built without root and network."""

from __future__ import annotations

import json
import tarfile
import textwrap
from pathlib import Path

from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.images.layer import unpacked
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel


def write(folder: Path, **recipes: str) -> Path:
    """Write recipes/<name>/image.yaml and a file `content` for every name."""
    for name, text in recipes.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "image.yaml").write_text(f"name: {name}\n{textwrap.dedent(text)}")
        (place / "content").write_text(f"content of {name}\n")
    return folder


def images(folder: Path, cache: Path) -> Images:
    return Images(cache, Programs(cache), find_recipes(folder))


def plain_layers(archive: Path, work: Path) -> list[Path]:
    """Return the tars of an archive's layers, lowest first."""
    work.mkdir()
    found = []
    with tarfile.open(archive) as tar:

        def blob(digest: str) -> bytes:
            opened = tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert opened
            return opened.read()

        index = tar.extractfile("index.json")
        assert index
        manifest = json.loads(blob(json.loads(index.read())["manifests"][0]["digest"]))
        for number, layer in enumerate(manifest["layers"]):
            (work / str(number)).write_bytes(blob(layer["digest"]))
            found.append(unpacked(work / str(number), work / f"{number}.tar", Cancel()))
    return found
