"""Versions of packages that several images have."""

from __future__ import annotations

from mlops_platform.adapters.images.recipe import requirements

from tests import ROOT

TRACKING_SERVER, ML = ROOT / "helm-values/mlflow/requirements.txt", ROOT / "images/ml/requirements.txt"


def test_models_are_trained_and_served_with_the_versions_of_the_tracking_server() -> None:
    server, ml = ([text.split()[0] for _, text in requirements(file)] for file in (TRACKING_SERVER, ML))
    versions = dict(each.split("==") for each in server)
    found = dict(each.split("==") for each in ml)
    assert {"mlflow-skinny", "pandas", "scikit-learn", "skops", "cloudpickle"} <= found.keys()
    assert {name: versions.get(name, version) for name, version in found.items()} == found
