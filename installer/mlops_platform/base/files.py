"""Files: write one atomically, durably and readable for its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_platform.base.errors import StepError


def is_there(path: Path) -> bool:
    """Test for a path of any kind. False also for a name too long and in a folder that cannot be read."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def write_private(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Replace a file atomically: a reader sees the old or the new one, also after a kill.

    Makes the folders above it. Raises StepError (disk full, read-only).
    """
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.unlink(missing_ok=True)
        file = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(file)
        beside.replace(path)
    except OSError as error:
        raise StepError(
            f"{path} cannot be written",
            why=str(error),
            hint="make room, then run the same command again",
            command=f"df -h {path.parent}",
        ) from error
