"""Overhead of the AWS cluster layer over plain Terraform, on the AWS fake of the tests."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.terraform import find_binary
from mlops_platform.engine.journal import runs

from bench.figures import Figure
from bench.measure import CLI, Timing, timed
from tests.fakes import terraform
from tests.fakes.aws import Account, running

_NAME = "bench"
_CLUSTER: Mapping[str, Any] = {"provider": "aws", "network_policy": "standard", "nat": "none"}


def figures() -> list[Figure]:
    """A cluster created by us, the no-op run after it, and the same cluster by Terraform alone.

    All in one run on one machine, with Terraform alone before and after ours, in accounts of their own.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with running(folder) as cloud:
            ours, env = cloud.account(), terraform.configuration(folder)
            _up(folder, ours, env)
            step = next(runs(folder / "home" / _NAME)).durations["cluster/terraform"]
            again = _up(folder, ours, env)
            plain = [_plain(folder / f"plain-{n}", folder, cloud.account(), env).wall for n in range(2)]
    return [
        Figure("AWS: `up --only cluster` with nothing to do", again.wall, "s", 2),
        Figure(
            "AWS: making the cluster ÷ the faster of two plain `terraform apply`", step / min(plain), "", 1.03
        ),
    ]


def _up(folder: Path, account: Account, env: Mapping[str, str]) -> Timing:
    files = folder / "environments"
    files.mkdir(exist_ok=True)
    cluster = {**_CLUSTER, "region": account.region}
    text = {"name": _NAME, "domain": "mlops.test", "cluster": cluster, "components": {"minio": {}}}
    (files / f"{_NAME}.yaml").write_text(json.dumps(text))
    own = {
        "MLOPS_PLATFORM_HOME": str(folder / "home"),
        "MLOPS_PLATFORM_ENVIRONMENTS": str(files),
        "MLOPS_PLATFORM_ENV": _NAME,
    }
    return timed([*CLI, "up", "--only", "cluster", "--yes"], {**account.environment(), **env, **own})


def _plain(root: Path, folder: Path, account: Account, env: Mapping[str, str]) -> Timing:
    """The same root and variables by hand: init and apply."""
    made = folder / "home" / _NAME / "terraform"
    shutil.copytree(made / "root", root)
    shutil.copy(made / "terraform.tfvars.json", root / "terraform.tfvars.json")
    bucket = f"plain-{account.id}"
    account.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": account.region}
    )
    config = {
        "bucket": bucket,
        "key": "terraform.tfstate",
        "region": account.region,
        "use_lockfile": "true",
        "use_path_style": "true",
    }
    flags = " ".join(f"-backend-config={key}={value}" for key, value in config.items())
    program = find_binary().path
    script = f"cd {root} && {program} init -input=false {flags} && {program} apply -input=false -auto-approve"
    return timed(
        ["sh", "-c", script], {**os.environ, **account.environment(), **env, "CHECKPOINT_DISABLE": "1"}
    )
