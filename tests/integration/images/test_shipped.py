"""Tests of every shipped image in its own read-only root, as its own user."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.images.python import unpack
from mlops_platform.adapters.images.recipe import read_recipes
from mlops_platform.adapters.process import Completed, run
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog

from tests.unit.adapters.images.recipes import plain_layers

pytestmark = pytest.mark.integration

PATHS = Paths.default()
FOLDERS = find_recipes(PATHS.assets / "images", PATHS.assets / "helm-values")
# Without the images of optional parts: nothing else here builds them, and the one of torch has 650 MB.
OPTIONAL = {
    image
    for entry in read_catalog(PATHS.assets / "helm-values").entries.values()
    for extra in entry.component.extras.values()
    for image in extra.images.values()
}
READ = {name: read for name, read in read_recipes(FOLDERS).items() if name not in OPTIONAL}
IMAGES = Images(PATHS.cache, Programs(PATHS.cache), FOLDERS)
WITH_SHELL = [
    name for name in READ if {name, *IMAGES.bases(name)} & {n for n, r in READ.items() if r.recipe.debian}
]
# Settings without which a program cannot be imported: it would look for a driver that its image does not
# have.
SETTINGS = {
    "airflow": {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none"}
}
WITH_PIP = [name for name, read in READ.items() if read.recipe.pip]

# All namespaces end with the command, so nothing stays mounted.
ENTER = """
mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
mount -t tmpfs tmpfs "$1/tmp" && mount -o remount,bind,ro "$1" &&
exec chroot --userspec="$USER_ID:$USER_ID" --groups= "$@"
"""


class Root:
    """Unpacked image."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        # Another account than 10001 is of images whose upstream names it.
        self.user = str(READ[name].recipe.user or 10001)
        archive = IMAGES.build(name, Silent(), Cancel())
        unpack(plain_layers(archive, folder.with_name("layers")), folder)
        for place in ("proc", "dev", "tmp"):
            (folder / place).mkdir(exist_ok=True)

    def run(self, *argv: str, env: dict[str, str] | None = None) -> Completed:
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        return run(
            [*own, "sh", "-c", ENTER, "sh", str(self.folder), *argv],
            env={"HOME": "/tmp", "USER_ID": self.user, **(env or {})},
            seconds=120,
        )


@contextmanager
def unpacked(folders: pytest.TempPathFactory, name: str) -> Iterator[Root]:
    """The root of an image for a block: all images together take more than 10 GB."""
    folder = folders.mktemp("image")
    yield Root(folder / "root", name)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Root]:
    with unpacked(tmp_path_factory, request.param) as made:
        yield made


@pytest.mark.parametrize("root", WITH_SHELL, indirect=True)
def test_no_library_is_missing(root: Root) -> None:
    """Wheels do not declare system libraries: numpy expects libstdc++ on every Linux."""
    look = (
        "find /usr -xdev -type f \\( -name '*.so*' -o -path '*/bin/*' -perm -1 \\) -exec ldd {} + 2>/dev/null"
    )
    listed = root.run("/bin/sh", "-c", f"{look} || true").stdout
    wanted = {line.split()[0] for line in listed.splitlines() if "not found" in line}
    # A library in a wheel may be found by the path of the module that loads it, which ldd does not know.
    missing = {name for name in wanted if not list((root.folder / "usr/local").rglob(name))}
    assert listed.count("libc.so.6") > 20 and missing == set()


@pytest.mark.parametrize("root", WITH_SHELL, indirect=True)
def test_image_has_an_account_but_no_private_key_or_machine_id(root: Root) -> None:
    if "app:" in (root.folder / "etc/passwd").read_text():
        assert root.run("/usr/bin/id", "-un").stdout == "app\n"
    keys = [*(root.folder / "etc/ssl/private").glob("*"), root.folder / "etc/machine-id"]
    assert [key for key in keys if key.exists()] == []


IMPORT = """
import importlib, importlib.metadata as metadata, json, os, re, sys
from importlib.util import cache_from_source as cached
tops = {}
for top, owners in metadata.packages_distributions().items():
    for owner in owners:
        tops.setdefault(re.sub(r"[-_.]+", "-", owner).lower(), []).append(top)
for name in sys.argv[1:]:
    for top in filter(str.isidentifier, tops[name]):  # files outside of the packages count as '..'
        importlib.import_module(top)
sources = [m for m in list(sys.modules.values()) if (getattr(m, "__file__", None) or "").endswith(".py")]
stale = [m.__name__ for m in sources if m.__name__ != "__main__" and not os.path.exists(cached(m.__file__))]
print(json.dumps({"imported": len(sys.modules), "stale": stale}))
"""


@pytest.mark.parametrize("root", WITH_PIP, indirect=True)
def test_required_packages_are_imported_from_bytecode(root: Root, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["root"]
    asked = re.findall(r"^\w[\w.-]*", READ[name].source("requirements.in").read_text(), re.MULTILINE)
    done = root.run("/usr/bin/python3", "-c", IMPORT, *asked, env=SETTINGS.get(name))
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["imported"] > 100
    # Single files beside a recipe are not compiled: they are small.
    files = {Path(path).stem for each in (name, *IMAGES.bases(name)) for path in READ[each].recipe.files}
    stale = set(said["stale"]) - files
    assert not stale, "a read-only root would compile these at every start"


@pytest.mark.parametrize("root", WITH_PIP, indirect=True)
def test_launchers_use_python_of_image(root: Root) -> None:
    for launcher in (root.folder / "usr/local/bin").iterdir():
        first = launcher.read_text().partition("\n")[0]
        assert "python" not in first or first.startswith("#!/usr/bin/python3"), launcher.name
