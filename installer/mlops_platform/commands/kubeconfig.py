"""`kubeconfig`: the path alone, fast enough for a shell prompt."""

from __future__ import annotations

from mlops_platform.base.errors import NotUp
from mlops_platform.console import Console


def run(console: Console) -> int:
    """Print the path from the state folder; the environment file is not read."""
    from pathlib import Path

    from mlops_platform.base.paths import Paths

    name = console.environment = Path(console.environment).name.partition(".")[0]
    path = Paths.default().environment(name) / "kubeconfig"
    if not path.is_file():
        raise NotUp(name)
    return console.done({"path": str(path)}, str(path))
