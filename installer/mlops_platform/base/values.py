"""Owns trees of values: one laid over another, and `${words}` filled in."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any


def substitute(value: Any, known: Mapping[str, str]) -> Any:
    """Fill `${word}` in every string of a tree. `$$` is a dollar; an unknown word raises KeyError."""
    if isinstance(value, str):
        return string.Template(value).substitute(known)
    if isinstance(value, Mapping):
        return {substitute(k, known): substitute(v, known) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, known) for item in value]
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins, mappings are merged, lists replaced: Helm's own rule for several value files."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result
