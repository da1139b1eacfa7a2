"""Owns Helm: where a chart comes from, and a release's way in, on and out. Importing it starts nothing."""

from pathlib import Path

from mlops_platform.adapters.helm.helm import Helm
from mlops_platform.adapters.helm.release import Installed, Release
from mlops_platform.adapters.helm.sources import ChartSource, InTreeChart, KustomizeTree, RepositoryChart
from mlops_platform.adapters.programs import Program

HELM = Program("helm", Path(__file__).resolve().parent / "program")
# Built when the first kustomize tree is installed: most platforms have none.
KUSTOMIZE = Program("kustomize", Path(__file__).resolve().parent / "kustomize-program")

__all__ = [
    "HELM",
    "KUSTOMIZE",
    "ChartSource",
    "Helm",
    "InTreeChart",
    "Installed",
    "KustomizeTree",
    "Release",
    "RepositoryChart",
]
