"""Free bytes of a disk, compared with what is needed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.base.errors import PreflightError
from mlops_platform.base.quantities import human

MAKE_ROOM = "mlops-platform cache prune, or set MLOPS_PLATFORM_CACHE and MLOPS_PLATFORM_HOME to a larger disk"


@dataclass(frozen=True)
class Room:
    """The bytes that are free below a folder, which need not exist, and those that are needed."""

    free: int
    needed: int

    @classmethod
    def of(cls, place: Path, needed: int) -> Room:
        return cls(shutil.disk_usage(existing(place)).free, needed)

    @property
    def enough(self) -> bool:
        return self.free >= self.needed

    def __str__(self) -> str:
        return f"needs {human(self.needed)} of {human(self.free)} free"


def existing(place: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(each for each in (place, *place.parents) if each.exists())


def require_room(place: Path, needed: int) -> None:
    """Raise PreflightError if there is too little room below a folder."""
    room = Room.of(place, needed)
    if not room.enough:
        raise PreflightError(f"disk: {room}", why=f"too little below {existing(place)}", hint=MAKE_ROOM)
