"""The runtimes of training jobs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests import ROOT

FILES = ("runtimes.yaml", "torch.yaml")
RUNTIMES = [
    each for file in FILES for each in yaml.safe_load_all((ROOT / "helm-values/trainer" / file).read_text())
]


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each["metadata"]["name"])
def test_memory_request_of_a_runtime_is_its_limit(runtime: dict[str, Any]) -> None:
    """A queue counts requests, the quota of a project limits."""
    (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = node["template"]["spec"]["template"]["spec"]["containers"]
    resources = container["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
