"""Python part of an image: hashed wheels, launchers for its interpreter, bytecode."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.images.debian import remove
from mlops_platform.adapters.images.recipe import requirements
from mlops_platform.adapters.pip import pip
from mlops_platform.adapters.process import run
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.progress import Progress

_SECONDS = 1800.0
_INTERPRETER = "/usr/bin/python3"
_COMPILE = ("-sP", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-i", "-")
# Debian 12 has glibc 2.36. pip takes the tags as given: naming the newest does not include the older ones.
_MANYLINUX = [*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010"]


def version(root: Path) -> str:
    """Return the version of a root file system's Python, such as '3.11'; '' if it has none."""
    link = root / _INTERPRETER.lstrip("/")
    if not link.is_symlink():
        return ""
    match = re.fullmatch(r"python(\d+\.\d+)", link.readlink().name)
    return match[1] if match else ""


def packages_folder(python: str) -> str:
    """Return the folder where Debian's Python finds modules that are not Debian packages."""
    return f"usr/local/lib/python{python}/dist-packages"


@dataclass(frozen=True)
class Wanted:
    """Hashed requirements file, and globs of files to remove after the installation."""

    requirements: Path
    remove: tuple[str, ...]


def install(
    wanted: Wanted, below: Sequence[Path], work: Path, cache: Path, progress: Progress, cancel: Cancel
) -> Path:
    """Install the requirements on top of the layers `below`, in `work`; return a root with the new files.

    Raises CommandFailed; ConfigurationError if the layers have no Python.
    """
    under, root = work / "base", work / "pip"
    unpack(below, under)
    python = version(under)
    if not python:
        problem = Problem(str(wanted.requirements), 0, "pip needs a base with Python", "write base: python")
        raise ConfigurationError((problem,))
    # The image's interpreter compiles them, so they are installed in its folder.
    target = under / packages_folder(python)
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    _pip(wanted.requirements, target, python, work / "tmp", cache, progress, cancel)
    launchers = root / "usr/local/bin"
    launchers.mkdir(parents=True)
    if (target / "bin").is_dir():
        _adopt_launchers(target / "bin", launchers)
    ours = [pattern for pattern in wanted.remove if pattern.startswith(f"/{packages_folder(python)}/")]
    for pattern in remove(under, ours):
        progress.note(f"remove {pattern}: no file matches it")
    compile_all(under, [f"/{packages_folder(python)}"], progress, cancel)
    moved = root / packages_folder(python)
    moved.parent.mkdir(parents=True)
    target.rename(moved)
    return root


def _pip(
    file: Path, target: Path, python: str, temporary: Path, cache: Path, progress: Progress, cancel: Cancel
) -> None:
    temporary.mkdir()
    machine = os.uname().machine
    platforms = [f"--platform={name}_{machine}" for name in _MANYLINUX]
    total = len(requirements(file))
    seen = 0

    def line(text: str) -> None:
        nonlocal seen
        if text.startswith("Collecting "):
            seen += 1
            progress.fraction(seen, total, "pip")
        elif text.startswith("Installing "):
            progress.say(f"pip: installing {total} packages")

    options = ["--no-compile", "--no-warn-conflicts", "--implementation=cp", f"--python-version={python}"]
    options += [*platforms, f"--target={target}", f"--cache-dir={cache}"]
    pip("install", file, *options, temporary=temporary, cancel=cancel, on_line=line)


def _adopt_launchers(made: Path, target: Path) -> None:
    """Make launchers start the image's Python: `pip --target` writes the building machine's."""
    for launcher in made.iterdir():
        first, newline, rest = launcher.read_bytes().partition(b"\n")
        if re.match(rb"#!.*python", first):
            launcher.write_bytes(b"#!" + _INTERPRETER.encode() + newline + rest)
        launcher.rename(target / launcher.name)
    made.rmdir()


def unpack(layers: Iterable[Path], root: Path) -> None:
    """Unpack layers into a root file system, to run programs of the image during the build."""
    root.mkdir(parents=True)
    for layer in layers:
        with tarfile.open(layer, "r:") as tar:
            tar.extractall(root, filter="fully_trusted")  # noqa: S202  our own layers


def compile_debian(root: Path, progress: Progress, cancel: Cancel) -> None:
    """Compile the standard library and Debian's modules: bytecode of their packages depends on file times."""
    folders = (f"/usr/lib/python{version(root)}", "/usr/lib/python3/dist-packages")
    compile_all(root, [f for f in folders if (root / f.lstrip("/")).is_dir()], progress, cancel)


def compile_all(root: Path, folders: Sequence[str], progress: Progress, cancel: Cancel) -> None:
    """Write bytecode that is valid for any modification time of the source: a layer does not keep that time.

    Python would take any other kind for stale and, on a read-only root, compile at each start.
    """
    tops: list[str] = []
    for folder in folders:
        inside = root / folder.lstrip("/")
        tops += sorted(f"{folder}/{child.name}" for child in inside.iterdir() if _has_source(child))
    cores = os.cpu_count() or 1
    groups = [group for group in (tops[i::cores] for i in range(cores)) if group]
    progress.say("compiling Python")

    def compile_group(group: list[str]) -> None:
        run(
            tethered(["chroot", str(root), _INTERPRETER, *_COMPILE]),
            # A fixed seed: else the order of a set of constants differs in every build.
            env={"PYTHONHASHSEED": "0", "PYTHONPATH": "", "LC_ALL": "C.UTF-8"},
            stdin="\n".join(group) + "\n",
            seconds=_SECONDS,
            cancel=cancel,
            ok=(0, 1),  # 1: a template or test in another Python's syntax, never imported
            what="compiling Python",
        )

    with ThreadPoolExecutor(len(groups) or 1) as pool:
        list(pool.map(compile_group, groups))


def _has_source(path: Path) -> bool:
    if path.is_symlink():
        return False
    return path.suffix == ".py" if path.is_file() else path.name != "__pycache__"
