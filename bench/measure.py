"""Wall time, CPU time and peak memory of a process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CLI = (sys.executable, "-m", "mlops_platform.cli")


@dataclass(frozen=True)
class Timing:
    """Wall and CPU seconds and peak bytes of a process, including the children that it waited for."""

    wall: float
    cpu: float
    peak: int


def timed(argv: Sequence[str], env: Mapping[str, str]) -> Timing:
    """Run a program to its end. Raises RuntimeError with its output if the exit status is not 0."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        # Measure imports with bytecode, as users have them.
        given = {k: v for k, v in {**os.environ, **env}.items() if k != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            list(argv), env=given, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(argv)}: exit {process.returncode}\n{said}")
    return Timing(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def median(argv: Sequence[str], env: Mapping[str, str], runs: int) -> Timing:
    """Median of each figure over several runs, after one run that warms the caches."""
    timed(argv, env)
    found = [timed(argv, env) for _ in range(runs)]
    return Timing(
        statistics.median(t.wall for t in found),
        statistics.median(t.cpu for t in found),
        int(statistics.median(t.peak for t in found)),
    )
