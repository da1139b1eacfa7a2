"""Answers of the protocols V1 and V2 for what a model returns."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy
import pandas

_KINDS = {"b": "BOOL", "U": "BYTES", "O": "BYTES", "S": "BYTES", "M": "BYTES"}


def v1(result: Any) -> dict[str, Any]:
    """The rows of a result, as `predictions`."""
    return {"predictions": _plain(result)}


def v2(result: Any, model: str, version: str, id_: str) -> dict[str, Any]:
    """A tensor for the result, or one for each of its columns."""
    outputs = [_tensor(name, values) for name, values in _columns(result).items()]
    head = {"model_name": model, "model_version": version} if version else {"model_name": model}
    return {**head, "id": id_ or str(uuid.uuid4()), "outputs": outputs}


def _columns(result: Any) -> Mapping[str, Any]:
    if isinstance(result, pandas.DataFrame):
        return {str(name): result[name] for name in result.columns}
    if isinstance(result, dict):
        return {str(name): values for name, values in result.items()}
    return {"output-0": result}


def _tensor(name: str, values: Any) -> dict[str, Any]:
    array = numpy.asarray(values)
    if array.ndim == 0:
        array = array.reshape(1)
    kind, bits = array.dtype.kind, array.dtype.itemsize * 8
    known = {"i": f"INT{bits}", "u": f"UINT{bits}", "f": f"FP{min(bits, 64)}"}
    datatype = known.get(kind) or _KINDS.get(kind, "BYTES")
    data = _plain(array.reshape(-1))
    if datatype == "BYTES":
        data = [each if isinstance(each, str) else str(each) for each in data]
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": data}


def _plain(value: Any) -> Any:
    """Values of JSON. A number that JSON does not have (NaN, infinity) becomes null."""
    if isinstance(value, pandas.DataFrame):
        return [_plain(row) for row in value.to_dict(orient="records")]
    if isinstance(value, pandas.Series | pandas.Index | numpy.ndarray | numpy.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [_plain(each) for each in value]
    return str(value)
