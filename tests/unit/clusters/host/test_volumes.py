"""The volume provisioner removes only its own folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlops_platform.clusters.host.volumes import PROVISIONER, Volumes


class Recorder:
    """A fake API server with one StorageClass, which records the requests."""

    def __init__(self, provisioner: str = PROVISIONER) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self._class = {"provisioner": provisioner, "reclaimPolicy": "Retain"}

    def get(self, path: str) -> dict[str, Any]:
        return self._class

    def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        self.calls.append((method, path, body))
        return {"POST": 201, "DELETE": 200}[method], {}


def _volume(root: Path, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "pvc-1", "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "persistentVolumeReclaimPolicy": "Delete",
            "local": {"path": str(root / "pvc-1")},
            **spec,
        },
        "status": {"phase": "Released"},
    }


def _claim(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": "1",
            "name": "data",
            "namespace": "test",
            "annotations": {"volume.kubernetes.io/selected-node": "demo", **annotations},
        },
        "spec": {
            "storageClassName": "standard",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "volumes" / "pvc-1").mkdir(parents=True)
    (tmp_path / "volumes" / "pvc-1" / "data").write_text("x")
    return tmp_path / "volumes"


def test_released_volume_is_removed_with_its_folder(root: Path) -> None:
    api = Recorder()
    Volumes(api, "demo", root).reclaim(_volume(root))  # type: ignore[arg-type]
    assert not (root / "pvc-1").exists()
    assert api.calls == [("DELETE", "/api/v1/persistentvolumes/pvc-1", None)]


def test_foreign_path_stays(root: Path, tmp_path: Path) -> None:
    """A user with rights on volumes could name any path of the machine."""
    victim = tmp_path / "victim"
    victim.mkdir()
    for path in (str(victim), "/", "", f"{root}/../victim", f"{root}/pvc-2"):
        api = Recorder()
        Volumes(api, "demo", root).reclaim(_volume(root, local={"path": path}))  # type: ignore[arg-type]
        assert api.calls == []
    assert victim.is_dir() and (root / "pvc-1" / "data").exists()


def test_link_out_of_the_root_stays(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (root / "pvc-1").rename(victim)
    (root / "pvc-1").symlink_to(victim)
    api = Recorder()
    Volumes(api, "demo", root).reclaim(_volume(root))  # type: ignore[arg-type]
    assert api.calls == [] and (victim / "data").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Bound"}},
        {"metadata": {"name": "pvc-1", "annotations": {}}},
        {"spec": {"persistentVolumeReclaimPolicy": "Retain", "local": {"path": "set below"}}},
    ],
)
def test_volumes_in_use_foreign_or_retained_stay(root: Path, change: dict[str, Any]) -> None:
    volume = {**_volume(root), **change}
    volume["spec"]["local"]["path"] = str(root / "pvc-1")
    api = Recorder()
    Volumes(api, "demo", root).reclaim(volume)  # type: ignore[arg-type]
    assert api.calls == [] and (root / "pvc-1" / "data").exists()


def test_claim_gets_folder_and_volume(root: Path) -> None:
    (root / "pvc-1" / "data").unlink()
    api = Recorder()
    Volumes(api, "demo", root).provision(_claim())  # type: ignore[arg-type]
    ((_, path, body),) = api.calls
    assert path == "/api/v1/persistentvolumes"
    assert body["spec"]["local"]["path"] == str(root / "pvc-1")
    assert body["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert body["spec"]["claimRef"]["uid"] == "1"
    assert (root / "pvc-1").stat().st_mode & 0o777 == 0o770


def test_claims_of_other_nodes_and_classes_are_ignored(root: Path) -> None:
    other = {"volume.kubernetes.io/selected-node": "elsewhere"}
    for api, claim in ((Recorder(), _claim(**other)), (Recorder("another"), _claim())):
        Volumes(api, "demo", root).provision(claim)  # type: ignore[arg-type]
        assert api.calls == []
