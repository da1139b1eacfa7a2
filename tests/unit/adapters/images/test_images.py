"""Tests of image builds: valid OCI archives, reproducible, rebuilt if an input changes."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.images import Images
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted
from mlops_platform.base.progress import Silent

from tests.unit.adapters.images import recipes

BASE = """
files:
  /etc/passwd: content
env: {PATH: /bin, KEPT: base, CHANGED: base}
cmd: [base]
"""
APP = """
base: base
files:
  /app/content: content
directories:
  /data: "0750"
user: 10001
workdir: /data
stopsignal: SIGQUIT
env: {CHANGED: app}
entrypoint: [/app/run, --fast]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recipes.write(tmp_path / "recipes", base=BASE, app=APP)


def build(images: Images, name: str) -> dict[str, bytes]:
    """Return the archive's members."""
    with tarfile.open(images.build(name, Silent(), Cancel())) as tar:
        return {m.name: opened.read() for m in tar if (opened := tar.extractfile(m))}


def blob(archive: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    content = archive[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
    assert len(content) == descriptor["size"]
    return content


def test_archive_is_an_image_layout_with_correct_digests(folder: Path, tmp_path: Path) -> None:
    images = recipes.images(folder, tmp_path / "cache")
    archive = build(images, "app")
    assert json.loads(archive["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(archive["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == images.reference("app")
    manifest = json.loads(blob(archive, described))
    config = json.loads(blob(archive, manifest["config"]))
    assert len(archive) == 2 + 2 + len(manifest["layers"]), "nothing else is in it"
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 2
    for layer in manifest["layers"]:
        assert blob(archive, layer).startswith(b"\x28\xb5\x2f\xfd"), "zstd, as the media type says"


def test_configuration_inherits_from_bases(folder: Path, tmp_path: Path) -> None:
    archive = build(recipes.images(folder, tmp_path / "cache"), "app")
    (described,) = json.loads(archive["index.json"])["manifests"]
    config = json.loads(blob(archive, json.loads(blob(archive, described))["config"]))["config"]
    assert config == {
        "User": "10001:10001",
        "WorkingDir": "/data",
        "StopSignal": "SIGQUIT",
        "Entrypoint": ["/app/run", "--fast"],
        "Env": ["PATH=/bin", "KEPT=base", "CHANGED=app"],
    }, "the base's cmd is gone with the entrypoint it belonged to"


def test_builds_on_two_machines_make_the_same_archive(folder: Path, tmp_path: Path) -> None:
    again = recipes.write(tmp_path / "other checkout", base=BASE, app=APP)
    one = recipes.images(folder, tmp_path / "cache1").build("app", Silent(), Cancel())
    two = recipes.images(again, tmp_path / "cache2").build("app", Silent(), Cancel())
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_reference_is_known_before_build_and_depends_on_inputs(folder: Path, tmp_path: Path) -> None:
    before = {name: recipes.images(folder, tmp_path / "cache").reference(name) for name in ("base", "app")}
    assert not (tmp_path / "cache").exists()
    (folder / "app/content").write_text("changed")
    after = {name: recipes.images(folder, tmp_path / "cache").reference(name) for name in ("base", "app")}
    assert after["base"] == before["base"] and after["app"] != before["app"]
    (folder / "base/content").write_text("changed")
    assert recipes.images(folder, tmp_path / "cache").reference("app") != after["app"], "its base changed"


def test_only_the_changed_layer_is_rebuilt(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build(recipes.images(folder, cache), "app")
    before = set((cache / "images/layers").iterdir())
    (folder / "app/content").write_text("changed")
    build(recipes.images(folder, cache), "app")
    assert len(set((cache / "images/layers").iterdir()) - before) == 1


def test_user_gets_an_account_if_base_has_accounts(folder: Path, tmp_path: Path) -> None:
    (folder / "base/content").write_text("root:x:0:0:root:/root:/bin/sh\n")
    archive = recipes.images(folder, tmp_path / "cache").build("app", Silent(), Cancel())
    with tarfile.open(recipes.plain_layers(archive, tmp_path / "layers")[-1]) as tar:
        accounts = tar.extractfile("etc/passwd")
        assert accounts
        assert accounts.read().decode().splitlines() == [
            "root:x:0:0:root:/root:/bin/sh",
            "app:x:10001:10001:app:/data:/usr/sbin/nologin",
        ]
        assert (tar.getmember("data").mode, tar.getmember("data").uid) == (0o750, 10001)


@pytest.mark.parametrize("lost", ["blobs/sha256", "layers", "records", "archives", "."])
def test_deleted_file_is_rebuilt(folder: Path, tmp_path: Path, lost: str) -> None:
    cache = tmp_path / "cache"
    whole = recipes.images(folder, cache).build("app", Silent(), Cancel()).read_bytes()
    for file in (cache / "images" / lost).rglob("*"):
        if file.is_file():
            file.unlink()
    images = recipes.images(folder, cache)
    assert images.built("app") == (lost in ("layers", "archives"))
    assert images.build("app", Silent(), Cancel()).read_bytes() == whole
    assert images.built("app")


def test_truncated_record_is_ignored(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build(recipes.images(folder, cache), "app")
    for record in [*(cache / "images/records").iterdir(), *(cache / "images/layers").iterdir()]:
        record.write_text(record.read_text()[:-20])
    images = recipes.images(folder, cache)
    assert not images.built("app") and images.size("app") == 0
    build(images, "app")
    assert images.built("app")


def test_cancelled_build_leaves_no_record(folder: Path, tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.request()
    images = recipes.images(folder, tmp_path / "cache")
    with pytest.raises(Interrupted):
        images.build("app", Silent(), cancel)
    assert not images.built("app")
    assert list((tmp_path / "cache").rglob(".*")) == [], "no working folder stays"
