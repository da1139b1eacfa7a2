"""A private folder for key files that TLS can only read from a path."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_PREFIX = ".keys-"


@contextmanager
def key_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, mode 0700 with files of mode 0600, removed at the end of the block.

    Folders that killed processes left are removed first: a process that lives holds a lock on its folder.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        with _locked(parent):  # no other process may take a new folder for an abandoned one
            for old in parent.glob(f"{_PREFIX}*"):
                with suppress(BlockingIOError, FileNotFoundError), _locked(old, fcntl.LOCK_NB):
                    shutil.rmtree(old)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix=_PREFIX, dir=parent)))
            stack.enter_context(_locked(folder))
        yield folder


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(file)
