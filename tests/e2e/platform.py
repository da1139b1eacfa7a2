"""Runs the real command line against a test environment."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.clusters.host.layout import Place

CLI = (sys.executable, "-m", "mlops_platform.cli")
ENVIRONMENT = """\
name: {name}
summary: made by a test
domain: mlops.localhost
port: {port}
cluster:
  provider: host
  {cluster}
components: {components}
smoke:
  disruptive: {disruptive}
"""

# Components of most tests, and the additional ones of the shared platform.
FEW = ("postgres", "minio", "mlflow")
ALL = (
    "vault",
    *FEW,
    "airflow",
    "oauth2-proxy",
    "gateway",
    "home",
    "jobset",
    "trainer",
    "kserve",
    "metrics-server",
    "model-routes",
    "job-logs",
)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def envelope(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Platform:
    """One environment in its own state folder; it uses the machine's cache."""

    name: str
    home: Path
    folder: Path

    @classmethod
    def make(
        cls,
        name: str,
        folder: Path,
        *,
        disruptive: bool = True,
        components: Sequence[str] = FEW,
        cluster: str = "",
    ) -> Platform:
        """`cluster` is another line of the section `cluster:`."""
        environments = folder / "environments"
        environments.mkdir(parents=True, exist_ok=True)
        chosen = json.dumps({component: {} for component in components})
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        text = ENVIRONMENT.format(
            name=name, disruptive=str(disruptive).lower(), components=chosen, port=port, cluster=cluster
        )
        (environments / f"{name}.yaml").write_text(text)
        return cls(name, folder / "home", folder)

    @property
    def state(self) -> Path:
        return self.home / self.name

    @property
    def place(self) -> Place:
        """The node's state folder, which names its cgroups and its interface."""
        return Place(self.name, self.state / "node")

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "MLOPS_PLATFORM_HOME": str(self.home), "MLOPS_PLATFORM_ENV": self.name}

    def start(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CLI, *args],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, env: dict[str, str] | None = None, seconds: float = 1500) -> Result:
        started = time.monotonic()
        process = self.start(*args, env=env)
        out, err = process.communicate(timeout=seconds)
        return Result(process.returncode, out, err, time.monotonic() - started)

    def ok(self, *args: str, seconds: float = 1500) -> Result:
        """Run a command that must succeed; a failure shows its output."""
        result = self.run(*args, seconds=seconds)
        assert result.code == 0, f"{args}: exit {result.code}\n{result.out}\n{result.err}"
        return result

    def killed(self, *args: str, after: float) -> bool:
        """Start a command and SIGKILL it after some seconds; False if it ended before."""
        process = self.start(*args)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        return False

    @contextmanager
    def opened(self, component: str, *args: str) -> Iterator[str]:
        """Run `open COMPONENT` during the block and yield the printed address."""
        process = self.start("open", component, "--output", "json", *args)
        try:
            assert process.stdout and process.stderr
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield json.loads(line)["data"]["url"]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


@contextmanager
def running(name: str, folder: Path, **how: Any) -> Iterator[Platform]:
    """An environment of its own, made as by `Platform.make`: up in this block, down after it."""
    made = Platform.make(name, folder, **how)
    try:
        made.ok("up", "--yes")
        yield made
    finally:
        made.ok("down", "--yes")
