"""A model of MLflow: loaded once, with the input that its signature asks for."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy
import pandas
from mlflow.exceptions import MlflowException
from mlflow.types import DataType
from mlflow.types.schema import Schema
from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

from platform_serving.failures import Failure
from platform_serving.fetch import ABOUT
from platform_serving.inputs import BadInput, Given

_NUMBERS = (DataType.integer, DataType.long, DataType.float, DataType.double)
_KINDS = {"integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64", "boolean": "BOOL"}
# What libraries raise for an input that they cannot use.
_OF_INPUT = (MlflowException, ValueError, TypeError, KeyError, IndexError)


class Model:
    """Predicts. `version` is that of the registry, or empty."""

    def __init__(self, folder: Path) -> None:
        """Load the model. Raises Failure."""
        about = folder / ABOUT
        known = json.loads(about.read_text()) if about.is_file() else {}
        self.registered, self.version = known.get("model", ""), known.get("version", "")
        try:
            self._model = mlflow.pyfunc.load_model(str(folder))
        except Exception as error:  # code of the model runs here
            traceback.print_exc()
            raise Failure(f"model does not load: {type(error).__name__}: {error}") from error
        self._schema: Schema | None = self._model.metadata.get_input_schema()

    def predict(self, given: Given) -> Any:
        """The model's answer. Raises BadInput; what else is raised is the model's own fault."""
        try:
            return self._model.predict(self._input(given))
        except BadInput:
            raise
        except _OF_INPUT as error:
            traceback.print_exc(file=sys.stderr)
            raise BadInput(f"the model refused the input: {_first_line(error)}") from None

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The inputs in the metadata of V2."""
        schema = self._schema
        if schema is None:
            return []
        if schema.is_tensor_spec():
            specs = [(s.name or f"input-{i}", list(s.shape), s.type) for i, s in enumerate(schema.inputs)]
            return [
                {"name": name, "shape": shape, "datatype": f"{kind.kind.upper()}{kind.itemsize * 8}"}
                for name, shape, kind in specs
            ]
        types = [_KINDS.get(getattr(each.type, "name", ""), "BYTES") for each in schema.inputs]
        names = [each.name or f"input-{i}" for i, each in enumerate(schema.inputs)]
        return [
            {"name": name, "shape": [-1, 1], "datatype": kind}
            for name, kind in zip(names, types, strict=True)
        ]

    def _input(self, given: Given) -> Any:
        schema = self._schema
        if schema is None:
            return pandas.DataFrame(given.columns) if given.columns else _array(given.rows or ())
        return _tensor(given, schema) if schema.is_tensor_spec() else _frame(given, schema)


def _frame(given: Given, schema: Schema) -> pandas.DataFrame:
    """The table that a signature with columns asks for."""
    names = schema.input_names() if schema.has_input_names() else []
    columns, rows = given.columns, given.rows
    if columns is not None and not names:
        rows, columns = list(zip(*columns.values(), strict=True)), None
    if columns is not None:
        if len(columns) == len(names) == 1:
            columns = {names[0]: next(iter(columns.values()))}
        missing = [name for name in schema.required_input_names() if name not in columns]
        if missing:
            raise BadInput(f"missing columns: {', '.join(missing)}; the input has {', '.join(columns)}")
        frame = pandas.DataFrame({name: list(values) for name, values in columns.items() if name in names})
    else:
        rows = [row if isinstance(row, list | tuple) else [row] for row in rows or ()]
        expected = len(schema.inputs)
        if len(rows[0]) != expected:
            title = f" ({', '.join(names)})" if names else ""
            raise BadInput(f"the model expects {expected} columns{title}, the input has {len(rows[0])}")
        frame = pandas.DataFrame(rows, columns=names or None)
    _require_numbers(frame, schema, names)
    return cast_df_types_according_to_schema(frame, schema)


def _require_numbers(frame: pandas.DataFrame, schema: Schema, names: Sequence[str]) -> None:
    """Refuse text where the model expects numbers: a cast would accept "1.5", and no more than that."""
    for place, column in enumerate(schema.inputs):
        name = names[place] if names else place
        if column.type not in _NUMBERS or name not in frame:
            continue
        for row, value in enumerate(frame[name].tolist()):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise BadInput(f'column "{name}", row {row}: {json.dumps(value)[:80]} is not a number')


def _tensor(given: Given, schema: Schema) -> Any:
    """The tensor, or the named tensors, that a signature asks for."""
    if not schema.has_input_names():
        values = given.rows if given.rows is not None else next(iter((given.columns or {}).values()))
        return _array(values, schema.numpy_types()[0])
    names = schema.input_names()
    if given.columns is None:
        if len(names) != 1:
            raise BadInput(f"the model expects the inputs {', '.join(names)}: send each by its name")
        return {names[0]: _array(given.rows or (), schema.numpy_types()[0])}
    missing = [name for name in schema.required_input_names() if name not in given.columns]
    if missing:
        raise BadInput(f"missing inputs: {', '.join(missing)}")
    types = dict(zip(names, schema.numpy_types(), strict=True))
    return {name: _array(given.columns[name], types[name]) for name in names if name in given.columns}


def _array(rows: Sequence[Any], kind: Any = None) -> Any:
    try:
        return numpy.array(rows, dtype=kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"the rows are no tensor: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:500]
