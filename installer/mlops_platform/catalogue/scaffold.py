"""A new component: the example folder, copied under another name."""

from __future__ import annotations

import re
from pathlib import Path

from mlops_platform.base.errors import UsageError
from mlops_platform.catalogue.checks import NOT_COMPONENTS

_EXAMPLE = Path(__file__).parent / "example"
_RESERVED = NOT_COMPONENTS | {"null", "true", "false"}  # not text in YAML
_TEMPLATE = ".template"  # Python that is no module of this package


def new_component(name: str, target: Path) -> list[Path]:
    """Write the folder `target`/`name` and return its files. Raises UsageError, and then writes nothing."""
    folder = target / name
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", name) or name in _RESERVED:
        hint = "use lower-case letters, digits and dashes, at most 30, a letter first"
        raise UsageError(f"{name}: not a name for a component", hint=hint)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            f"{folder} exists already", hint="choose another name, or edit that folder"
        ) from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be created", why=str(error.strerror)) from error
    written = []
    for source in sorted(_EXAMPLE.iterdir()):
        file = folder / source.name.removesuffix(_TEMPLATE)
        file.write_text(re.sub(r"\bexample\b", name, source.read_text()))
        written.append(file)
    return written
