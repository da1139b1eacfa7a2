"""Trees of values: merge two, fill in template variables."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from typing import Any


def substitute(value: Any, known: Mapping[str, Any]) -> Any:
    """Fill in the template variables `${name}` of a tree; `$$` is a dollar. Raises KeyError, ValueError.

    A variable that is a list replaces a text that names nothing else. Inside a longer text it is JSON.
    """
    if isinstance(value, str):
        alone = known.get(value[2:-1]) if value.startswith("${") and value.endswith("}") else None
        return alone if isinstance(alone, list) else string.Template(value).substitute(_texts(value, known))
    if isinstance(value, Mapping):
        return {substitute(k, known): substitute(v, known) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, known) for item in value]
    return value


def _texts(value: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The variables, with lists as JSON if the text names one."""
    lists = {k: json.dumps(v) for k, v in known.items() if isinstance(v, list) and f"${{{k}}}" in value}
    return {**known, **lists} if lists else known


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings, replace all else by the value of `over`, as Helm does with several value files."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result
