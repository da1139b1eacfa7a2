"""A separate machine for commands against the fake cloud: state, environment files, exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.base.progress import Silent
from mlops_platform.base.ttl import expiry
from mlops_platform.cli import guarded
from mlops_platform.clusters.aws.cluster import AwsCluster
from mlops_platform.commands import down, env, reap
from mlops_platform.console import Console, Output
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment
from mlops_platform.teardown.verify import DownOptions

from tests.fakes.aws import Account

RUN = "2026-11-24T08-00-00Z"


@dataclass(frozen=True)
class Said:
    """The result of a command: exit code, envelope and progress."""

    code: int
    envelope: dict[str, Any]
    progress: str

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.envelope["data"])

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.envelope["error"])

    @property
    def left(self) -> set[tuple[str, str]]:
        return {(each["kind"], each["id"]) for each in self.data["left"]}


@dataclass(frozen=True)
class Machine:
    """A state folder and a folder of environment files."""

    account: Account
    folder: Path

    @contextmanager
    def used(self) -> Iterator[Machine]:
        """Run commands with this machine's state and files only."""
        files = self.folder / "environments"
        files.mkdir(parents=True, exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLOPS_PLATFORM_HOME", str(self.folder / "home"))
            patch.setenv("MLOPS_PLATFORM_ENVIRONMENTS", str(files))
            yield self

    def write(self, name: str, component: str = "minio", **options: Any) -> Path:
        """Write an environment file with a cluster in this region, and one component."""
        cluster = {"provider": "aws", "region": self.account.region, **options}
        text = {
            "name": name,
            "domain": "mlops.test",
            "cluster": cluster,
            "components": {component: {}},
        }
        file = self.folder / "environments" / f"{name}.yaml"
        file.write_text(json.dumps(text))
        return file

    def made(self, name: str, ttl: str = "") -> AwsCluster:
        """Create the state bucket and the record of run RUN, as `up` does before Terraform."""
        from dataclasses import replace

        self.write(name)
        opened = open_environment(name)
        opened.record()
        cluster = read_only(opened).cluster
        assert isinstance(cluster, AwsCluster)
        cluster = replace(cluster, run=RUN)
        if ttl:
            cluster.teardown.expire(ttl if ttl.startswith("2") else expiry(ttl))
        cluster.prepare(Silent())
        return cluster

    def down(self, name: str, *, region: str = "", allow_data_loss: bool = True, **options: Any) -> Said:
        asked = DownOptions(**options)
        return self.says(
            "down",
            name,
            lambda console: down.run(
                console, yes=True, options=asked, allow_data_loss=allow_data_loss, region=region
            ),
        )

    def reap(self, *, dry_run: bool = False) -> Said:
        region = self.account.region
        return self.says("reap", "", lambda console: reap.run(console, region=region, dry_run=dry_run))

    def remotes(self) -> Said:
        return self.says("env list", "", lambda console: env.run_remote(console, self.account.region))

    def says(self, command: str, name: str, act: Callable[[Console], int]) -> Said:
        out, err = io.StringIO(), io.StringIO()
        code = guarded(Console(command, name, Output.JSON, out=out, err=err), act)
        return Said(code, json.loads(out.getvalue()), err.getvalue())


def tags(name: str, run: str = RUN) -> dict[str, str]:
    """The tags of every object of an environment."""
    found = {"mlops-platform/env": name, "mlops-platform/owner": "tester"}
    return {**found, "mlops-platform/run": run} if run else found
