"""Imports the modules of a component as in its pod: files side by side, by plain name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tests import ROOT

SHARED = ROOT / "images/python"


@contextmanager
def modules(folder: Path, names: Sequence[str]) -> Iterator[dict[str, ModuleType]]:
    """Yield modules of the folder, and of the image python, by name; forget them at the end of the block."""
    sys.path[:0] = [str(folder), str(SHARED)]
    try:
        found = {name: importlib.import_module(name) for name in names}
    finally:
        del sys.path[:2]
    yield found
    for name in names:
        sys.modules.pop(name, None)  # tests of another component share some
