"""Finds Terraform's providers on this machine, in the user's mirror or another one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HOST = "registry.terraform.io"
_PLACES = ("/opt", "/usr", "/var", "/srv", str(Path.home()))
_DEPTH = 4


def mirror() -> Path | None:
    """Folder of a filesystem mirror, or None."""
    return next((found for place in _PLACES for found in _below(Path(place), _DEPTH)), None)


def configuration(folder: Path) -> dict[str, str]:
    """Variables for `terraform init` to find its providers; the user's configuration has precedence."""
    own = os.environ.get("TF_CLI_CONFIG_FILE")
    if own and Path(own).is_file():
        return {"TF_CLI_CONFIG_FILE": own}
    found = mirror()
    if found is None:
        return {}
    file = folder / "terraform.rc"
    file.write_text(
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path = "{found}"\n    include = ["{HOST}/*/*"]\n  }}\n'
        f'  direct {{\n    exclude = ["{HOST}/*/*"]\n  }}\n}}\n'
    )
    return {"TF_CLI_CONFIG_FILE": str(file)}


def _below(place: Path, depth: int) -> Iterator[Path]:
    """Folders that contain a folder with the registry's name."""
    try:
        entries = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for entry in sorted(entries):
        if entry.name == HOST:
            yield place
            return
    for entry in sorted(entries):
        if depth > 1:
            yield from _below(entry, depth - 1)
