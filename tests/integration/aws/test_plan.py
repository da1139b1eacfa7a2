"""`plan` with the real provider: price and counts before the first `up`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Exit
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.aws.options import Options
from mlops_platform.console.preview import apart
from mlops_platform.environment.model import ComponentSpec, Environment
from mlops_platform.report import preview
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened

from tests.fakes.aws import REGION, Account
from tests.integration.aws.made import up
from tests.integration.aws.world import Machine

pytestmark = pytest.mark.integration

POOL = {"instance_type": "g5.xlarge", "gpu_count": 1, "max": 4, "spot": True}


def work(home: Path, **asked: Any) -> Context:
    options = Options.model_validate({"provider": "aws", "region": REGION, "version": "1.35", **asked})
    chosen = Environment(
        name="cost",
        domain="mlops.example.com",
        cluster=options,
        components={"postgres": ComponentSpec(disk="20Gi")},
    )
    assets = Paths.default().assets
    paths = Paths(home, home.parent / "cache", assets)
    opened = Opened(paths, read_catalog(assets / "helm-values"), chosen, home, home)
    return context_of(opened, Cancel(), home / "run")


def test_plan_before_first_up_has_counts_and_price_and_creates_nothing(
    account: Account, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    asked = work(home, sql="rds", object_store="s3", gpu_pools={"a10": POOL})
    changes = asked.terraform.preview(asked.cluster.variables(), Silent(), Cancel())
    found = preview.of(asked, changes)
    kinds = [change.type for change in changes.of("create")]
    assert len(kinds) == len(changes.all) > 40 and found.losses == ()
    assert {"aws_eks_cluster", "aws_db_instance", "aws_s3_bucket"} <= set(kinds)
    assert kinds.count("aws_eks_node_group") == 2 and kinds.count("aws_nat_gateway") == 1
    assert found.bill and found.bill.unknown == ()
    text = apart(found)
    assert f"+ {len(kinds)} resources" in text and "0 to 4 × g5.xlarge, 1 A10G, spot" in text
    assert "20 GiB gp3" in text and "data loss   none" in text

    assert account.client("s3").list_buckets()["Buckets"] == []
    assert account.client("kms").list_keys()["Keys"] == []
    assert not home.exists()


def test_up_without_quota_for_first_nodes_is_a_preflight_error(account: Account, tmp_path: Path) -> None:
    """A new account has no GPU quota."""
    with Machine(account, tmp_path).used() as machine:
        machine.write("staging", network_policy="standard", gpu_pools={"a10": {**POOL, "min": 1}})
        said = up(machine, "staging")
    assert said.code == Exit.PREFLIGHT and "vCPUs G spot" in said.error["what"], said.envelope
    assert account.client("s3").list_buckets()["Buckets"] == []
    assert account.client("kms").list_keys()["Keys"] == []
