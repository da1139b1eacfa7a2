"""Trees of values: merge two, fill in template variables."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any


def substitute(value: Any, known: Mapping[str, str]) -> Any:
    """Fill in the template variables `${name}` of a tree; `$$` is a dollar. Raises KeyError, ValueError."""
    if isinstance(value, str):
        return string.Template(value).substitute(known)
    if isinstance(value, Mapping):
        return {substitute(k, known): substitute(v, known) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, known) for item in value]
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings, replace all else by the value of `over`, as Helm does with several value files."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result
