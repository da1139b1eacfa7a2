"""Tests of archives with the real containerd: import, unpack, report."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlops_platform.adapters.process import run
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent

from tests.unit.adapters.images import recipes

pytestmark = pytest.mark.integration

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/socket"
"""


class Containerd:
    def __init__(self, folder: Path) -> None:
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        self._socket = folder / "socket"
        with (folder / "log").open("wb") as log:
            # It has a mount namespace of its own: its mounts end with it, even after SIGKILL.
            argv = ["unshare", "--mount", "containerd", "--config", str(folder / "config.toml")]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

        def ready() -> bool | Pending:
            return run(self._argv("version"), ok=(0, 1)).returncode == 0 or Pending("no answer")

        wait_until("containerd", ready, seconds=30)

    def _argv(self, *arguments: str) -> list[str]:
        return ["ctr", "--address", str(self._socket), "--namespace", "test", *arguments]

    def ctr(self, *arguments: str) -> str:
        return run(self._argv(*arguments)).stdout

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    started = Containerd(tmp_path_factory.mktemp("ctrd"))
    yield started
    started.stop()


def test_image_of_two_recipes_is_imported_completely(containerd: Containerd, tmp_path: Path) -> None:
    folder = recipes.write(
        tmp_path / "recipes",
        base="files: {/etc/passwd: content}",
        app='base: base\nfiles: {/app: content}\ndirectories: {/data: "0750"}\nuser: 10001',
    )
    images = recipes.images(folder, tmp_path / "cache")
    archive = images.build("app", Silent(), Cancel())
    containerd.ctr("images", "import", str(archive))
    assert containerd.ctr("images", "list", "-q").split() == [images.reference("app")]
    assert "complete (3/3)" in containerd.ctr("images", "check")
    (described,) = json.loads(_member(archive, "index.json"))["manifests"]
    manifest = json.loads(containerd.ctr("content", "get", described["digest"]))
    config = json.loads(containerd.ctr("content", "get", manifest["config"]["digest"]))
    assert config["config"]["User"] == "10001:10001"

    containerd.ctr("snapshots", "prepare", "seen", _chain(config["rootfs"]["diff_ids"]))
    mount = containerd.ctr("snapshots", "mounts", str(tmp_path / "mnt"), "seen").split()
    (tmp_path / "mnt").mkdir()
    look = '"$@" && ls -ln "$0" "$0/etc" && cat "$0/app"'
    listed = run(["unshare", "--mount", "sh", "-c", look, str(tmp_path / "mnt"), *mount]).stdout
    assert "content of app" in listed
    assert any(line.startswith("drwxr-x---") and " 10001 " in line for line in listed.splitlines()), listed


def _member(archive: Path, name: str) -> str:
    return run(["tar", "--extract", "--to-stdout", "--file", str(archive), name]).stdout


def _chain(diff_ids: list[str]) -> str:
    """Return the name of the snapshot: https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid"""
    chain = diff_ids[0]
    for each in diff_ids[1:]:
        chain = f"sha256:{hashlib.sha256(f'{chain} {each}'.encode()).hexdigest()}"
    return chain


def test_no_mount_is_left() -> None:
    assert "snapshots" not in Path(f"/proc/{os.getpid()}/mounts").read_text()
