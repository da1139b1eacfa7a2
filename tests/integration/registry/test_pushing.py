"""Pushes to a real registry: existing parts are not sent again, a wrong password is an error."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.programs import Programs
from mlops_platform.adapters.registry import ORAS, Login, Registry
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.host.cluster import RECIPES

from tests.integration.apiserver import built
from tests.integration.registry import PASSWORD, USER, Server, serving

pytestmark = pytest.mark.integration

NAME = "pause"  # the smallest there is


@pytest.fixture(scope="module")
def programs() -> Programs:
    built(ORAS)
    return Programs(Paths.default().cache)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, login=True) as found:
        yield found


def test_image_is_pushed_once_with_its_reference(
    server: Server, programs: Programs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(programs, lambda: f"{server.host}/team/mlops", lambda: Login(USER, PASSWORD))
    images = Images(Paths.default().cache, programs, find_recipes(RECIPES), registry.reference)
    archive = images.build(NAME, Silent(), Cancel())
    assert registry.references() == frozenset(), "a repository before its first push"

    registry.push(archive, Silent(), Cancel())

    assert registry.references() == {images.reference(NAME)}
    assert images.reference(NAME) == f"{server.host}/team/mlops:{archive.stem}"
    log = tmp_path / "here.log"
    sent = log.read_text().count('"PUT /v2/team/mlops/blobs/')
    assert sent == len(images_blobs(archive)), "every layer and the configuration"
    registry.push(archive, Silent(), Cancel())
    assert log.read_text().count('"PUT /v2/team/mlops/blobs/') == sent, "existing parts stay"


def images_blobs(archive: Path) -> list[str]:
    """Digests of all blobs of an archive except its manifest."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index
        manifest = json.load(index)["manifests"][0]["digest"].removeprefix("sha256:")
        names = [Path(name).name for name in tar.getnames() if name.startswith("blobs/sha256/")]
    return [name for name in names if name != manifest]


@pytest.mark.parametrize("login", [None, Login(USER, "wrong horse")])
def test_push_without_login_is_an_error_with_the_command(
    server: Server, programs: Programs, tmp_path: Path, login: Login | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))  # without a login
    registry = Registry(programs, lambda: f"{server.host}/mlops", (lambda: login) if login else None)
    with pytest.raises(CommandFailed) as caught:
        registry.references()
    assert login or f"docker login {server.host}" in caught.value.hint
    assert "wrong horse" not in f"{caught.value}{caught.value.why}{caught.value.command}"


def test_docker_login_is_used(
    server: Server, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": word}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert Registry(programs, lambda: f"{server.host}/mlops").references() == frozenset()
