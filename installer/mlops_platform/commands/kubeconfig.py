"""Owns `kubeconfig`: the path alone, quick enough for a shell's prompt."""

from __future__ import annotations

from mlops_platform.base.errors import NotUp
from mlops_platform.console import Console


def run(console: Console) -> int:
    """Reads no environment file: what is up here is told by its state folder."""
    from pathlib import Path

    from mlops_platform.base.paths import Paths

    name = console.environment = Path(console.environment).name.partition(".")[0]
    path = Paths.default().environment(name) / "kubeconfig"
    if not path.is_file():
        raise NotUp(name)
    return console.done({"path": str(path)}, str(path))
