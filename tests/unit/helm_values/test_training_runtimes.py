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


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda each: each["metadata"]["name"])
def test_runtime_fits_a_function_of_trainer_client(runtime: dict[str, Any]) -> None:
    """The SDK reads a number of CPUs from the limits, and its script writes into the working directory."""
    (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = node["template"]["spec"]["template"]["spec"]["containers"]
    # A job's own request above this limit would be invalid: no node has as many.
    assert container["resources"]["limits"]["cpu"] == "1000"
    assert container["workingDir"] in {each["mountPath"] for each in container["volumeMounts"]}
