"""Template variables in trees of values."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.base.values import substitute

KNOWN = {"name": "mlflow", "tokens": [{"audience": "a"}]}


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("http://${name}.svc", "http://mlflow.svc"),
        ({"${name}": ["$$", 1, None]}, {"mlflow": ["$", 1, None]}),
        ({"sources": "${tokens}"}, {"sources": [{"audience": "a"}]}),
        ('{"tokens": ${tokens}}', '{"tokens": [{"audience": "a"}]}'),
    ],
)
def test_variables_are_filled_in(value: Any, filled: Any) -> None:
    assert substitute(value, KNOWN) == filled


def test_a_variable_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        substitute("${other}", KNOWN)
