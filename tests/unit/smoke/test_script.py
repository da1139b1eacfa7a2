"""Tests of the Jobs of smoke tests."""

from __future__ import annotations

import re

from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.smoke.script import job_name


def test_job_of_every_shipped_script_has_a_name_that_the_api_server_accepts() -> None:
    names = [
        job_name(name, spec.script, phase)
        for name, entry in read_catalog(Paths.default().assets / "helm-values").entries.items()
        for spec in entry.component.smoke
        for phase in ("probe", "verify")
    ]
    assert any("smoke-golden-path" in name for name in names), "a file with underscores is among them"
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)] == []
