"""Folders of the program: state of environments, shared cache, shipped files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

UPSTREAM_FOLDER = "upstream"  # beside the files of an overlay: those of the Go module or of the tree


@dataclass(frozen=True)
class Paths:
    """`home` has a folder of state for each environment, `cache` has what can be built again,
    `assets` has the shipped folders helm-values/, images/, terraform/ and policies/."""

    home: Path
    cache: Path
    assets: Path

    @classmethod
    def default(cls) -> Paths:
        """Return the XDG folders, or MLOPS_PLATFORM_HOME and MLOPS_PLATFORM_CACHE if set."""
        user = Path.home()
        state = Path(os.environ.get("XDG_STATE_HOME") or user / ".local/state")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or user / ".cache")
        return cls(
            home=Path(os.environ.get("MLOPS_PLATFORM_HOME") or state / "mlops-platform").absolute(),
            cache=Path(os.environ.get("MLOPS_PLATFORM_CACHE") or cache / "mlops-platform").absolute(),
            assets=_assets(),
        )

    def environment(self, name: str) -> Path:
        """Return the state folder of an environment: runs/, terraform/, node/, kubeconfig."""
        return self.home / name


def _assets() -> Path:
    """Return mlops_platform/_data of a wheel, or the root folder of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_data"
    return shipped if shipped.is_dir() else package.parents[1]


def shown(path: Path) -> str:
    """A file of a component or an image, as messages name it: `components/app/service.yaml`."""
    return "/".join(path.parts[-3:])
