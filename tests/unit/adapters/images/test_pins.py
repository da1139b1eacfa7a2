"""Versions of packages that several images have."""

from __future__ import annotations

from mlops_platform.adapters.images.recipe import requirements

from tests import ROOT

TRACKING_SERVER, ML = ROOT / "helm-values/mlflow/requirements.txt", ROOT / "images/ml/requirements.txt"
TORCH = ROOT / "images/torch/requirements.txt"


def test_models_are_trained_and_served_with_the_versions_of_the_tracking_server() -> None:
    server, ml = ([text.split()[0] for _, text in requirements(file)] for file in (TRACKING_SERVER, ML))
    versions = dict(each.split("==") for each in server)
    found = dict(each.split("==") for each in ml)
    assert {"mlflow-skinny", "pandas", "scikit-learn", "skops", "cloudpickle"} <= found.keys()
    assert {name: versions.get(name, version) for name, version in found.items()} == found


def test_runtimes_have_the_same_versions() -> None:
    """A model that one job logs is loaded by another one, whichever runtime it has."""
    ml, torch = (dict(text.split()[0].split("==") for _, text in requirements(file)) for file in (ML, TORCH))
    assert {"mlflow-skinny", "cloudpickle", "boto3"} <= torch.keys()
    assert {name: ml.get(name, version) for name, version in torch.items()} == torch
