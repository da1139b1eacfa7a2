"""States, quantities and texts of the home page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.unit.helm_values.home.fakes import CASES

STATES = yaml.safe_load((CASES / "states.yaml").read_text())


@pytest.mark.parametrize("case", STATES, ids=[case["name"] for case in STATES])
def test_state_of_an_object_matches_the_case(scripts: SimpleNamespace, case: dict[str, Any]) -> None:
    found = {"status": {"conditions": case["conditions"]}} if "conditions" in case else {}
    assert scripts.view.state_of(found) == (case["state"], case.get("why", ""))


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("4", 4.0), ("500m", 0.5), ("1Ki", 1024.0), ("2Gi", 2.0**31), ("1G", 1e9), ("1.5", 1.5), ("", 0.0)],
)
def test_quantity_is_read_as_a_number(scripts: SimpleNamespace, quantity: str, number: float) -> None:
    assert scripts.view.amount(quantity) == number


def test_text_of_a_user_is_one_line_without_control_characters(scripts: SimpleNamespace) -> None:
    assert scripts.view.plain("a\n\x1b[31mb\u202ec\x00") == "a [31mb c"
    assert len(scripts.view.plain("x" * 1000)) == 160


def test_newest_objects_are_shown(scripts: SimpleNamespace) -> None:
    shown = {"annotation": "", "word": "", "address": "https://x/${project}/${object}", "endpoint": ""}
    objects = [
        {"metadata": {"name": f"m{i:02}", "creationTimestamp": f"2026-11-30T00:{i:02}:00Z"}}
        for i in range(12)
    ]
    rows = scripts.view.rows_of(shown, "churn", objects, 10)
    assert (len(rows), rows[0]["name"]) == (10, "m11")
    assert rows[0]["address"] == "https://x/churn/m11"


def test_service_without_conditions_of_its_endpoint_is_ready(scripts: SimpleNamespace) -> None:
    assert scripts.view.endpoints_state([{"endpoints": [{}]}]) == "ready"
    assert scripts.view.endpoints_state([{"endpoints": None}]) == "stopped"
    assert scripts.view.endpoints_state([]) == "stopped"
