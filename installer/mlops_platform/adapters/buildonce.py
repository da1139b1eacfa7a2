"""Builds into the shared cache: one builder per target, renamed when complete."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError, StepError
from mlops_platform.base.progress import Progress, Silent

_LONGEST_BUILD_SECONDS = 3600.0


def build_once(
    cache: Path,
    target: Path,
    make: Callable[[Path], Path],
    *,
    whole: Callable[[], bool] = lambda: True,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Path:
    """Build `target`, a file or folder, once for all processes, and return it.

    An existing target that is not `whole`, because files it refers to are missing, is built again.

    `make` gets an empty folder beside the target and returns the path in it (or the folder itself)
    that becomes the target by a rename, so that a kill leaves no partial target. Raises Interrupted while
    waiting for another builder, and the errors of `make`.
    """
    if target.exists() and whole():
        return target
    say = (progress or Silent()).say
    key = f"{target.parent.name}-{target.name}"
    with no_pruning(cache), _exclusive(cache / "locks" / key, target.name, say, cancel):
        if target.exists():
            if whole():
                return target
            remove_tree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        # We hold the lock, so the builders of these folders are dead: the kernel released their locks.
        for rest in target.parent.glob(f".{glob.escape(target.name)}.*"):
            remove_tree(rest)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        work.chmod(0o755)
        try:
            made = make(work)
            make_durable(made)
            made.rename(target)
            make_durable(target.parent, only_itself=True)
        finally:
            if work.exists():
                remove_tree(work)
    return target


@contextmanager
def shared_folder(
    cache: Path, name: str, *, keep: Callable[[], bool], progress: Progress, cancel: Cancel
) -> Iterator[Path]:
    """A folder cache/build/<name> that several builds use at the same time, also of other processes.

    The last user removes the folder, unless `keep()` is true.
    """
    folder = cache / "build" / name
    with _opened(cache / "locks" / f"build-{name}") as file:
        _lock(file, fcntl.LOCK_SH, f"the build cache {name}", progress.say, cancel)
        yield folder
        try:
            # The kernel releases the shared lock first: of two users that leave together, one gets this lock.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if folder.exists() and not keep():
            progress.say(f"removing the build cache {name}")
            remove_tree(folder)


@contextmanager
def no_pruning(cache: Path) -> Iterator[None]:
    """Exclude `exclude_builders`; any number of runs can hold this lock."""
    with _opened(cache / "locks" / "builders") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # only pruning takes it exclusively, for seconds
        yield


@contextmanager
def exclude_builders(cache: Path) -> Iterator[None]:
    """Exclude all builders. Raises LockedError if one is active."""
    with _opened(cache / "locks" / "builders") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"another run is building into {cache}",
                hint="run the command again after the end of that run",
            ) from None
        for lock in (cache / "locks").iterdir():
            if lock.name != "builders":  # safe: a builder locks `builders` before it opens another lock
                lock.unlink()
        yield


def tethered(argv: Sequence[str], *, whole_tree: bool = False) -> list[str]:
    """The command, wrapped so that it dies with this process: an orphan would keep using the cores.

    `whole_tree` (root only) runs it in its own PID and mount namespace, so that all its children die with it
    and its mounts are invisible outside.
    """
    own = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child=KILL", "--"]
    # The kernel sends the signal when the *thread* that started the child ends; process.run waits in it.
    return ["setpriv", "--pdeathsig", "KILL", "--", *(own if whole_tree else []), *argv]


def remove_tree(path: Path) -> int:
    """Remove a file or folder, also read-only folders; returns the number of bytes removed.

    Raises StepError if there is a mount below: removing /dev through a bind mount would break the machine.
    """
    if path.is_symlink() or not path.is_dir():
        size = path.lstat().st_size
        path.unlink()
        return size
    real = str(path.resolve())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted = line.split()[4].encode().decode("unicode_escape")
        if mounted == real or mounted.startswith(real + "/"):
            raise StepError(
                f"{path} cannot be removed: {mounted} is mounted in it",
                hint="unmount it and run the command again",
                command=f"umount {mounted}",
            )
    size = 0
    for folder, folders, files in os.walk(path):
        here = Path(folder)
        if here.stat().st_mode & 0o700 != 0o700:
            here.chmod(0o700)  # Go's module cache is read-only
            folders[:] = [entry.name for entry in os.scandir(here) if entry.is_dir(follow_symlinks=False)]
        size += sum((here / name).lstat().st_size for name in files)
    shutil.rmtree(path)
    return size


def make_durable(path: Path, *, only_itself: bool = False) -> None:
    """fsync a file, or a folder with its contents: a name must not survive a power cut without its bytes."""
    if path.is_dir() and not only_itself:
        for child in path.iterdir():
            if not child.is_symlink():
                make_durable(child)
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StepError(
            f"{path.parent} cannot be written",
            why=str(error),
            hint="make room, or set MLOPS_PLATFORM_CACHE to a folder of yours",
            command=f"ls -ld {path.parent}",
        ) from error
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _exclusive(path: Path, what: str, say: Callable[[str], None], cancel: Cancel | None) -> Iterator[None]:
    with _opened(path) as file:
        _lock(file, fcntl.LOCK_EX, what, say, cancel)
        yield


def _lock(file: int, kind: int, what: str, say: Callable[[str], None], cancel: Cancel | None) -> None:
    def take() -> bool | Pending:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return Pending("another run is building it")
        return True

    wait_until(what, take, seconds=_LONGEST_BUILD_SECONDS, cancel=cancel, on_seen=say)
