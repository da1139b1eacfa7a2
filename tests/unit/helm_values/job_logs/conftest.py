"""Imports the collector's modules, which run in a pod, from the component's folder."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests import ROOT

FOLDER = ROOT / "helm-values" / "job-logs"


def load(name: str) -> ModuleType:
    """A module of the folder, by a name of its own: other components have files with the same names."""
    spec = importlib.util.spec_from_file_location(f"job_logs_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
