"""Smoke results as JUnit XML, for CI systems: one testsuite a component, one testcase a probe."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from mlops_platform.engine.result import Result

# Characters that XML cannot contain, even escaped: https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(suites: Mapping[str, Sequence[Result]], environment: str) -> str:
    """Render the part of the format that every reader understands: https://github.com/testmoapp/junitxml."""
    everything = [result for results in suites.values() for result in results]
    root = ET.Element("testsuites", {"name": f"mlops-platform smoke {environment}", **_counts(everything)})
    for component, results in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": component, **_counts(results)})
        for result in results:
            case = ET.SubElement(
                suite,
                "testcase",
                {
                    "classname": f"smoke.{component}",
                    "name": _text(result.name),
                    "time": f"{result.seconds:.3f}",
                },
            )
            if not result.ok:
                detail = _text(result.detail)
                failure = ET.SubElement(case, "failure", {"message": detail.partition("\n")[0]})
                failure.text = detail
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(not r.ok for r in results)),
        "errors": "0",
        "time": f"{sum(r.seconds for r in results):.3f}",
    }


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
