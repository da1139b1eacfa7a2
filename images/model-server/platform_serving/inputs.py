"""Requests of the protocols V1 and V2, checked and brought into one form. Every mistake is a BadInput."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

_INTEGERS = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = {"FP16", "FP32", "FP64"}
_TYPES = _INTEGERS | _FLOATS | {"BOOL", "BYTES"}
_LONGEST = 120  # of a quoted value


class BadInput(ValueError):
    """A request that no model can answer; the text is for its sender."""

    status = 400


@dataclass(frozen=True)
class Given:
    """The input of a prediction: named columns of one length, or rows in any nesting. `id` is of V2."""

    columns: Mapping[str, Sequence[Any]] | None = None
    rows: Sequence[Any] | None = None
    id: str = ""


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises BadInput."""
    if not body.strip():
        raise BadInput("the body is empty: send a JSON object")
    try:
        found = json.loads(body, parse_constant=_constant)
    except BadInput:
        raise
    except RecursionError:
        raise BadInput("the JSON is nested too deep") from None
    except ValueError as error:  # also bytes that are no text, and numbers of thousands of digits
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInput("the body is not a JSON object")
    return found


def _constant(name: str) -> NoReturn:
    raise BadInput(f"the body is not JSON: {name} is no number of JSON")


def v1(body: bytes) -> Given:
    """A request of V1: `instances` (or `inputs`) is a list of rows. Raises BadInput."""
    request = parsed(body)
    name = "instances" if "instances" in request else "inputs"
    if name not in request:
        raise BadInput('no "instances": send {"instances": [[...], ...]}')
    rows = request[name]
    if not isinstance(rows, list):
        raise BadInput(f'"{name}" is not a list')
    if not rows:
        raise BadInput(f'"{name}" is empty')
    if isinstance(rows[0], dict):
        return Given(columns=_by_column(rows, name))
    width = _width(rows[0])
    for index, row in enumerate(rows):
        if _width(row) != width:
            raise BadInput(f'"{name}": row {index} has {_width(row)} values, row 0 has {width}')
    return Given(rows=rows)


def _width(row: Any) -> int:
    """The length of a row; 1 for a single value."""
    return len(row) if isinstance(row, list) else 1


def _by_column(rows: list[Any], name: str) -> dict[str, list[Any]]:
    names = list(rows[0])
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != rows[0].keys():
            raise BadInput(f'"{name}": row {index} does not have the keys of row 0: {", ".join(names)}')
    return {each: [row[each] for row in rows] for each in names}


def v2(body: bytes) -> Given:
    """A request of V2: one tensor, or a tensor for each column. Raises BadInput."""
    request = parsed(body)
    inputs, id_ = request.get("inputs"), request.get("id", "")
    if not isinstance(inputs, list):
        raise BadInput('no "inputs": send {"inputs": [{"name", "shape", "datatype", "data"}]}')
    if not inputs:
        raise BadInput('"inputs" is empty')
    if not isinstance(id_, str):
        raise BadInput('"id" is not text')
    tensors = [_tensor(each, index) for index, each in enumerate(inputs)]
    if len(tensors) == 1 and len(tensors[0][1]) != 1:
        name, shape, values = tensors[0]
        if 0 in shape:
            raise BadInput(f'input "{name}" is empty')
        return Given(rows=_nested(values, shape), id=id_)
    columns: dict[str, Sequence[Any]] = {}
    length = tensors[0][1][0] if tensors[0][1] else 0
    for name, shape, values in tensors:
        if name in columns:
            raise BadInput(f'input "{name}" is given twice')
        if math.prod(shape) != shape[0]:
            raise BadInput(
                f'input "{name}": shape {shape} is not a column: one of several inputs is [n] or [n, 1]'
            )
        if shape[0] != length:
            raise BadInput(f'input "{name}" has {shape[0]} values, "{tensors[0][0]}" has {length}')
        columns[name] = values
    if not length:
        raise BadInput(f'input "{tensors[0][0]}" is empty')
    return Given(columns=columns, id=id_)


def _tensor(given: Any, index: int) -> tuple[str, list[int], list[Any]]:
    """Name, shape and flat values of one input."""
    if not isinstance(given, dict):
        raise BadInput(f"input {index} is not an object")
    name, shape, kind = given.get("name"), given.get("shape"), given.get("datatype")
    if not isinstance(name, str) or not name:
        raise BadInput(f"input {index} has no name")
    if not (isinstance(shape, list) and shape and all(type(n) is int and n >= 0 for n in shape)):
        raise BadInput(f'input "{name}": "shape" is not a list of numbers')
    if kind not in _TYPES:
        raise BadInput(
            f'input "{name}": unknown datatype {_quoted(kind)}; known: {", ".join(sorted(_TYPES))}'
        )
    if not isinstance(given.get("data"), list):
        raise BadInput(f'input "{name}": "data" is not a list; binary tensors are not supported')
    values = _flat(given["data"])
    if len(values) != math.prod(shape):
        raise BadInput(
            f'input "{name}": shape {shape} has {math.prod(shape)} values, "data" has {len(values)}'
        )
    for place, value in enumerate(values):
        if not _fits(value, kind):
            raise BadInput(f'input "{name}": value {place} is {_quoted(value)}, not {kind}')
    return name, shape, values


def _flat(data: list[Any]) -> list[Any]:
    """The values of nested lists, in order, without recursion: nesting has no limit here."""
    found = data
    while any(isinstance(each, list) for each in found):
        found = [value for each in found for value in (each if isinstance(each, list) else [each])]
    return found


def _fits(value: Any, kind: str) -> bool:
    if kind == "BOOL":
        return isinstance(value, bool)
    if kind == "BYTES":
        return isinstance(value, str)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and (kind in _FLOATS or isinstance(value, int))


def _nested(values: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        values = [values[i : i + size] for i in range(0, len(values), size)]
    return values


def _quoted(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
