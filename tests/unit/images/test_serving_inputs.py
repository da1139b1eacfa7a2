"""Requests to served models: every wrong one has a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from platform_serving import inputs  # type: ignore[import-not-found]


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4], **changed}


def column(name: str, *values: float) -> dict[str, Any]:
    return tensor(name=name, shape=[len(values)], data=list(values))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe{", "the body is not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", 'no "instances"'),
        (b'{"instances": 5}', "is not a list"),
        (b'{"instances": []}', "is empty"),
        (b'{"instances": [[1, 2], [3]]}', "row 1 has 1 values, row 0 has 2"),
        (b'{"instances": [{"a": 1}, {"b": 1}]}', "row 1 does not have the keys of row 0: a"),
        (b'{"instances": [{"a": 1}, 2]}', "row 1 does not have the keys of row 0: a"),
        (b'{"instances": [[NaN]]}', "NaN is no number of JSON"),
        (b'{"instances": [' + b"9" * 5000 + b"]}", "the body is not JSON"),
        (b'{"instances": ' + b"[" * 100_000, "nested too deep"),
    ],
)
def test_wrong_request_of_v1_has_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(inputs.BadInput, match=reason):
        inputs.v1(body)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, 'no "inputs"'),
        ({"inputs": []}, "is empty"),
        ({"inputs": [], "id": 5}, "is empty"),
        ({"inputs": [tensor()], "id": 5}, '"id" is not text'),
        ({"inputs": ["x"]}, "input 0 is not an object"),
        ({"inputs": [tensor(name="")]}, "input 0 has no name"),
        ({"inputs": [tensor(shape="2,2")]}, '"shape" is not a list of numbers'),
        ({"inputs": [tensor(shape=[-1, 4])]}, '"shape" is not a list of numbers'),
        ({"inputs": [tensor(shape=[True, 4])]}, '"shape" is not a list of numbers'),
        ({"inputs": [tensor(datatype="FP128")]}, 'unknown datatype "FP128"'),
        ({"inputs": [tensor(data="AAAA")]}, "binary tensors are not supported"),
        ({"inputs": [tensor(data=[1, 2, 3])]}, 'has 4 values, "data" has 3'),
        ({"inputs": [tensor(data=[1, 2, 3, "4"])]}, 'value 3 is "4", not FP64'),
        ({"inputs": [tensor(data=[1, 2, 3, True])]}, "value 3 is true, not FP64"),
        ({"inputs": [tensor(datatype="INT64", data=[1, 2, 3, 4.5])]}, "value 3 is 4.5, not INT64"),
        ({"inputs": [tensor(shape=[0, 4], data=[])]}, "is empty"),
        ({"inputs": [column("a", 1, 2), column("b", 1)]}, '"b" has 1 values, "a" has 2'),
        ({"inputs": [column("a", 1), column("a", 1)]}, '"a" is given twice'),
        ({"inputs": [column("a", 1, 2), tensor()]}, "is not a column"),
        ({"inputs": [column("a")]}, "is empty"),
    ],
)
def test_wrong_request_of_v2_has_a_reason(request_: object, reason: str) -> None:
    with pytest.raises(inputs.BadInput, match=reason):
        inputs.v2(json.dumps(request_).encode())


def test_rows_and_columns_are_the_same_in_all_forms() -> None:
    rows = inputs.v1(b'{"instances": [[1, 2], [3, 4]]}')
    nested = inputs.v2(json.dumps({"inputs": [tensor(data=[[1, 2], [3, 4]])]}).encode())
    flat = inputs.v2(json.dumps({"inputs": [tensor()], "id": "7"}).encode())
    assert rows.rows == nested.rows == flat.rows == [[1, 2], [3, 4]]
    assert flat.id == "7"
    records = inputs.v1(b'{"instances": [{"a": 1, "b": 2}, {"b": 4, "a": 3}]}')
    columns = inputs.v2(json.dumps({"inputs": [column("a", 1, 3), column("b", 2, 4)]}).encode())
    assert records.columns == columns.columns == {"a": [1, 3], "b": [2, 4]}
