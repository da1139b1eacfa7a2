"""Owns small recipes for tests: images of files alone, which need neither root nor a network."""

from __future__ import annotations

import textwrap
from pathlib import Path

from installer.adapters.images import Images, find_recipes
from installer.adapters.programs import Programs


def write(folder: Path, **recipes: str) -> Path:
    """recipes/<name>/image.yaml and a file `content` beside it, for every name."""
    for name, text in recipes.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "image.yaml").write_text(f"name: {name}\n{textwrap.dedent(text)}")
        (place / "content").write_text(f"content of {name}\n")
    return folder


def images(folder: Path, cache: Path) -> Images:
    return Images(cache, Programs(cache), find_recipes(folder))
