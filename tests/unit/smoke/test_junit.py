"""JUnit XML that CI systems can read: positive and negative tests, any text in a detail."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from mlops_platform.engine.result import Result
from mlops_platform.smoke.junit import render

import tests

GOLDEN = tests.GOLDEN / "smoke.xml"


def test_component_is_testsuite_and_probe_is_testcase(golden: Callable[[Path, str], None]) -> None:
    suites = {
        "store": [
            Result("rows are read back", True, seconds=0.25),
            Result("refused: a wrong password", True, seconds=0.1, negative=True),
        ],
        "server": [Result("a run is kept", False, "AssertionError: {'a': '<1>'}\nsecond line", 2.0)],
    }
    golden(GOLDEN, render(suites, "local"))


def test_characters_outside_xml_are_replaced() -> None:
    found = ET.fromstring(render({"c": [Result("colour \x1b[31m\x00", False, "\ud800 ]]> &")]}, "local"))
    case = found.find("testsuite/testcase")
    assert case is not None and case.get("name") == "colour \ufffd[31m\ufffd"
    failure = case.find("failure")
    assert failure is not None and failure.text == "\ufffd ]]> &"
