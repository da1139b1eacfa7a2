"""Owns opening an environment: files read and checked, tools found, one Context for a command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlops_platform import clusters
from mlops_platform.base.errors import UsageError
from mlops_platform.base.files import is_there
from mlops_platform.base.paths import Paths
from mlops_platform.base.yaml import read_text
from mlops_platform.catalogue.catalogue import Catalog, read_catalog_leniently
from mlops_platform.environment import model as environment
from mlops_platform.environment.model import Environment

RECORDED = "environment.yaml"
_FROM = "# from: "  # its last line: the folder of the file it is a copy of


@dataclass(frozen=True)
class Opened:
    """An environment that has been read and found to be without mistakes."""

    paths: Paths
    catalog: Catalog
    environment: Environment
    file: Path
    beside: Path | None = None  # the folder that paths in the file start from
    text: str = ""

    @property
    def state(self) -> Path:
        return self.paths.environment(self.environment.name)

    def record(self) -> None:
        """Keep the file with the state, so that `down` works when the file is gone."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self.state / RECORDED
        if self.file != target:
            beside = f"{_FROM}{self.beside}\n" if self.beside else ""
            target.write_text(f"{self.text.rstrip()}\n{beside}")


def shipped_environments() -> Path:
    return Path(__file__).resolve().parents[1] / "environment" / "shipped"


def open_environment(name: str, paths: Paths | None = None) -> Opened:
    """Find and check an environment. Raises UsageError or ConfigurationError with every problem."""
    where = paths or Paths.default()
    try:
        return open_file(environment.find(name, shipped_environments()), name, where)
    except UsageError:
        file = where.environment(name) / RECORDED
        if not is_there(file):
            raise
    return open_file(file, name, where)


def open_file(file: Path, name: str, where: Paths) -> Opened:
    """Read and check one file; one that was recorded with the state has its environment's `name`."""
    catalog, problems = read_catalog_leniently(where.assets / "helm-values")
    stem = name if file.name == RECORDED else file.stem
    beside = _beside(file)
    found = beside if beside.is_dir() else None
    loaded = environment.read(
        file, catalog, clusters.options_models(), problems, expected_name=stem, beside=found
    )
    chosen = loaded.environment
    more = {name: spec.egress for name, spec in chosen.components.items() if spec.egress}
    return Opened(where, catalog.with_egress(more), chosen, file, beside, loaded.document.text)


def _beside(file: Path) -> Path:
    if file.name == RECORDED:
        last = read_text(file).rstrip().rpartition("\n")[2]
        if last.startswith(_FROM):
            return Path(last.removeprefix(_FROM))
    return Path(os.path.realpath(file)).parent  # Path.resolve raises for a loop of links
