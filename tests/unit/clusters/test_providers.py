"""Every provider makes a cluster with all parts of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlops_platform import clusters
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.errors import PlatformError
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.base import Capabilities, Cluster
from mlops_platform.clusters.cost import NO_COST

KUBECONFIG = {"kubeconfig": "/nonexistent/config", "context": "c", "storage_class": "s"}
OPTIONS: dict[str, dict[str, Any]] = {"aws": {"region": "eu-central-1"}, "existing": KUBECONFIG, "host": {}}


def made(name: str, folder: Path) -> Cluster:
    spec = clusters.options_model(name).model_validate({"provider": name, **OPTIONS[name]})
    return clusters.make(spec, "one", folder / "one", Programs(folder / "cache"))


@pytest.mark.parametrize("name", clusters.names())
def test_every_provider_has_the_parts_of_a_cluster(name: str, tmp_path: Path) -> None:
    cluster = made(name, tmp_path)
    able = cluster.capabilities
    assert isinstance(able, Capabilities) and cluster.name == name and cluster.root.is_dir() and cluster.where
    assert bool(cluster.cost.bill(10)) == able.requires_confirmation == (cluster.cost is not NO_COST)
    assert bool(cluster.teardown.retainable) == able.expires, "both exist only in a cloud"
    assert able.dedicated == (name != "existing") and able.embedded == (name == "host")
    cluster.teardown.destroy_files(keep_data=False, progress=Silent())  # there are none yet


def test_inventory_of_an_unreachable_cluster_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError):
        made("existing", tmp_path).teardown.inventory()


def test_only_clouds_list_environments_of_other_machines() -> None:
    assert [find.__module__ for find in clusters.remotes()] == ["mlops_platform.clusters.aws.environments"]
