"""pip as the client of the package index: wheels only, each of them checked by its hash."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.process import Completed, run
from mlops_platform.base.cancel import Cancel

_SECONDS = 1800.0


def pip(
    command: str,
    requirements: Path,
    *options: str,
    temporary: Path,
    cancel: Cancel,
    on_line: Callable[[str], None] | None = None,
    ok: Sequence[int] = (0,),
) -> Completed:
    """Run `pip install` or `pip download` on a requirements file that has a hash in every line."""
    argv = [sys.executable, "-m", "pip", command, "--require-hashes", "--only-binary=:all:", "--no-deps"]
    argv += ["--no-input", "--progress-bar=off", *options, f"--requirement={requirements}"]
    return run(
        tethered(argv),
        env={"TMPDIR": str(temporary), "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        seconds=_SECONDS,
        cancel=cancel,
        on_line=on_line,
        ok=ok,
        what=f"pip {command} of {requirements.parent.name}",
        hint="check that the package index answers",
    )
