"""Opening of an environment: its files are read and checked, and a Context is made for one command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlops_platform import clusters
from mlops_platform.base.errors import ConfigurationError, Problem, UsageError
from mlops_platform.base.files import is_there
from mlops_platform.base.paths import Paths
from mlops_platform.base.yaml import read_text
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.read import OWN_FOLDER, own_folder, read_catalog_leniently
from mlops_platform.environment import file as environment
from mlops_platform.environment.model import Environment

RECORDED = "environment.yaml"
# Last lines of a recorded file: the folder of the file it is a copy of, and that of the user's components.
_SHIPPED = "helm-values"
_FROM, _COMPONENTS = "# from: ", "# components: "


@dataclass(frozen=True)
class Opened:
    """An environment that was read and has no mistakes."""

    paths: Paths
    catalog: Catalog
    environment: Environment
    file: Path
    beside: Path | None = None  # base of relative paths in the file
    text: str = ""

    @property
    def state(self) -> Path:
        return self.paths.environment(self.environment.name)

    def record(self) -> None:
        """Copy the file into the state folder, so that `down` works without the original."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self.state / RECORDED
        if self.file != target:
            lines = [f"{_COMPONENTS}{folder}" for folder in self._own_folders()]
            lines += [f"{_FROM}{self.beside}"] if self.beside else []
            target.write_text("\n".join([self.text.rstrip(), *lines, ""]))

    def _own_folders(self) -> list[Path]:
        """The folder of the user's components, if the environment has one of them."""
        entries = self.catalog.entries
        found = {entries[name].folder.parent for name in self.environment.components if name in entries}
        return sorted(found - {self.paths.assets / _SHIPPED})


def shipped_environments() -> Path:
    return Path(__file__).resolve().parents[1] / "environment" / "shipped"


def open_environment(name: str, paths: Paths | None = None, *, lenient: bool = False) -> Opened:
    """Find and check an environment. Raises UsageError or ConfigurationError with every problem.

    `lenient` is for commands that must work without the folders of the user's components: mistakes in them
    do not count, and components that are in no catalogue are left out.
    """
    where = paths or Paths.default()
    try:
        return open_file(environment.find(name, shipped_environments()), name, where, lenient=lenient)
    except UsageError:
        file = where.environment(name) / RECORDED
        if not is_there(file):
            raise
    return open_file(file, name, where, lenient=lenient)


def open_file(file: Path, name: str, where: Paths, *, lenient: bool = False) -> Opened:
    """Read and check one file; one that was recorded with the state has its environment's `name`."""
    stem = name if file.name == RECORDED else file.stem
    catalog, problems = _catalog(where, file, stem, lenient=lenient)
    beside = _beside(file)
    found = beside if beside.is_dir() else None
    loaded = environment.read(
        file,
        catalog,
        clusters.options_models(),
        problems,
        expected_name=stem,
        beside=found,
        ignore_unknown=lenient,
    )
    known = {n: spec for n, spec in loaded.environment.components.items() if n in catalog.entries}
    chosen = loaded.environment.model_copy(update={"components": known})
    more = {name: spec.egress for name, spec in known.items() if spec.egress}
    return Opened(where, catalog.with_egress(more), chosen, file, beside, loaded.document.text)


def _catalog(where: Paths, file: Path, name: str, *, lenient: bool) -> tuple[Catalog, tuple[Problem, ...]]:
    """The shipped components and the user's own. A recorded file has its own components' folder."""
    recorded = _recorded(where.environment(name) / RECORDED, _COMPONENTS)
    folder = Path(recorded) if recorded else None
    try:
        if file.name != RECORDED or os.environ.get(OWN_FOLDER):
            folder = own_folder() or folder
    except ConfigurationError:
        if not lenient:
            raise
    shipped = where.assets / _SHIPPED
    own = (folder,) if folder and folder.is_dir() else ()
    catalog, problems = read_catalog_leniently(shipped, *own, images=where.assets / "images")
    if lenient:
        problems = tuple(each for each in problems if each.file.startswith(f"{_SHIPPED}/"))
    return catalog, problems


def _recorded(file: Path, label: str) -> str:
    """The text after a label in the last lines of a recorded file."""
    if not is_there(file):
        return ""
    lines = read_text(file).rstrip().splitlines()[-2:]
    return next((line.removeprefix(label) for line in lines if line.startswith(label)), "")


def _beside(file: Path) -> Path:
    if file.name == RECORDED and (folder := _recorded(file, _FROM)):
        return Path(folder)
    return Path(os.path.realpath(file)).parent  # Path.resolve raises for a loop of links
