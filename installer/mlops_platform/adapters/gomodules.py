"""Downloads of single Go modules, checked by the lines of go.sum that pin them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_platform.adapters.buildonce import shared_folder, tethered
from mlops_platform.adapters.process import run
from mlops_platform.adapters.programs import find_go, go_environment
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress

_SECONDS = 600.0
# Go itself needs no newer version to download a module; a build of it may.
_GO_MOD = "module mlops-platform/download\n\ngo 1.24\n\nrequire {name} {version}\n"


@contextmanager
def downloaded(
    cache: Path, name: str, version: str, sums: Sequence[str], *, progress: Progress, cancel: Cancel
) -> Iterator[Path]:
    """The folder of a module's files, for the duration of the block; it is read-only.

    `sums` are the module's lines of go.sum. The command runs in a module that requires only this one: in
    the program's own, Go would also read the go.mod of every dependency. Raises StepError if the contents
    are not what is pinned, PreflightError without Go.
    """
    with (
        shared_folder(cache, "go", keep=lambda: False, progress=progress, cancel=cancel) as go_cache,
        tempfile.TemporaryDirectory(prefix="go-module-") as work,
    ):
        folder = Path(work)
        (folder / "go.mod").write_text(_GO_MOD.format(name=name, version=version))
        (folder / "go.sum").write_text("".join(f"{line}\n" for line in sums))
        progress.say(f"downloading {name} {version}")
        said = run(
            tethered([str(find_go().binary), "-C", work, "mod", "download", "-json", name]),
            env=go_environment(go_cache, folder),
            seconds=_SECONDS,
            cancel=cancel,
            what=f"download of {name} {version}",
        )
        found = json.loads(said.stdout)
        _require_pinned(name, version, sums, found)
        yield Path(found["Dir"])


def _require_pinned(name: str, version: str, sums: Sequence[str], found: dict[str, str]) -> None:
    """Compare with go.sum. Go has done so itself, unless a variable such as GONOSUMCHECK says otherwise."""
    seen = f"{name} {found['Version']} {found['Sum']}"
    if found["Version"] != version or seen not in sums:
        raise StepError(
            f"{name} {version} is not what was pinned",
            why="\n".join([*(f"pinned {line}" for line in sums), f"seen   {seen}"]),
            hint="inspect the module before you change go.sum: it was published again or changed in transit",
        )
