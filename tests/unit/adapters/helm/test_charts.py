"""Addresses and digests of charts, and braces of trees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from mlops_platform.adapters.helm.charts import require_digest, require_safe
from mlops_platform.adapters.helm.rendered import escaped
from mlops_platform.base.errors import StepError


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://charts.example.test", False),
        ("oci://registry.example.test/charts", False),
        ("oci://127.0.0.1:5000/charts", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000/charts", True),
        ("http://[::1]:8000", True),
    ],
)
def test_https_oci_and_loopback_addresses_are_accepted(url: str, loopback: bool) -> None:
    assert require_safe(url) is loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://charts.example.test",
        "http://127.0.0.1.example.test",
        "http://localhost.example.test",
        "http://127.0.0.1@example.test/",
        "http://10.0.0.1",
        "file:///etc",
        "charts",
    ],
)
def test_other_addresses_are_errors(url: str) -> None:
    with pytest.raises(StepError, match="must start with https:// or oci://"):
        require_safe(url)


def test_file_with_another_digest_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "chart.tgz"
    file.write_bytes(b"chart")
    require_digest(file, f"sha256:{hashlib.sha256(b'chart').hexdigest()}", "chart")
    with pytest.raises(StepError, match="chart is not what was pinned"):
        require_digest(file, f"sha256:{hashlib.sha256(b'other').hexdigest()}", "chart")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b", "a: b"),
        ("{{x}}", "{{`{{`}}x}}"),
        ("{{{", "{{`{{`}}{"),
        ("{ {", "{ {"),
        ("{{{{", "{{`{{`}}{{`{{`}}"),
    ],
)
def test_braces_are_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected
