"""Owns where things lie: state by environment, the shared cache, and the files the product ships."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """`home` holds state (one folder an environment), `cache` what can be built again,
    `assets` the shipped helm-values/, terraform/ and policies/ folders."""

    home: Path
    cache: Path
    assets: Path

    @classmethod
    def default(cls) -> Paths:
        """XDG folders, or MLOPS_PLATFORM_HOME and MLOPS_PLATFORM_CACHE where set."""
        user = Path.home()
        state = Path(os.environ.get("XDG_STATE_HOME") or user / ".local/state")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or user / ".cache")
        return cls(
            home=Path(os.environ.get("MLOPS_PLATFORM_HOME") or state / "mlops-platform").absolute(),
            cache=Path(os.environ.get("MLOPS_PLATFORM_CACHE") or cache / "mlops-platform").absolute(),
            assets=_assets(),
        )

    def environment(self, name: str) -> Path:
        """The state folder of one environment: runs/, terraform/, node/, kubeconfig."""
        return self.home / name


def _assets() -> Path:
    """A wheel carries the folders in mlops_platform/_data; in a checkout they lie beside installer/."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_data"
    return shipped if shipped.is_dir() else package.parents[1]
