"""YAML files in components' folders, each parsed once a run: a run compares every release several times."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.paths import shown
from mlops_platform.base.yaml import Document, load


def document_of(path: Path) -> Document:
    """Read a YAML file of a component."""
    return _parsed(path, path.stat().st_mtime_ns)


def values_file(path: Path) -> Any:
    """Return the data of a YAML file; do not change it. Raises ConfigurationError."""
    document = document_of(path)
    if document.problems:
        raise ConfigurationError(document.problems)
    return document.data


@cache
def _parsed(path: Path, _changed: int) -> Document:
    return load(path, shown(path))
