"""Proves which objects hold data, so that destroying one is asked about apart."""

from __future__ import annotations

from typing import Any

import pytest

from installer.adapters.terraform.changes import Change
from installer.clusters.aws import worth
from installer.clusters.aws.options import Options

OPTIONS = {"provider": "aws", "region": "eu-central-1"}


def lost(kind: str, **before: Any) -> str:
    return worth.holds(Change(f"{kind}.this", kind, "destroy", before=before))


@pytest.mark.parametrize(
    "kind", ["aws_eks_cluster", "aws_db_instance", "aws_s3_bucket", "aws_ebs_volume", "aws_kms_key"]
)
def test_what_holds_data_is_known(kind: str) -> None:
    assert lost(kind)


@pytest.mark.parametrize("kind", ["aws_subnet", "aws_iam_role", "aws_nat_gateway", "aws_launch_template"])
def test_what_can_be_made_again_as_it_was_is_no_loss(kind: str) -> None:
    assert lost(kind) == ""


@pytest.mark.parametrize(
    ("instance_type", "least", "capacity", "loses"),
    [
        ("g5.xlarge", 1, "ON_DEMAND", "250 GB each"),
        ("g5.xlarge", 0, "ON_DEMAND", ""),  # gone whenever no pod asks for it
        ("g5.xlarge", 1, "SPOT", ""),
        ("m7i.xlarge", 2, "ON_DEMAND", ""),  # has no disk but the one the system is on
        ("x9z.large", 1, "ON_DEMAND", "if they have any"),
    ],
)
def test_nodes_hold_data_where_they_have_disks_and_stay(
    instance_type: str, least: int, capacity: str, loses: str
) -> None:
    group = {
        "instance_types": [instance_type],
        "capacity_type": capacity,
        "scaling_config": [{"min_size": least}],
    }
    told = lost("aws_eks_node_group", **group)
    assert loses in told and bool(told) == bool(loses)


@pytest.mark.parametrize(("nat", "detail"), [("one", "1 with"), ("per-zone", "3 with"), ("none", "")])
def test_the_bill_follows_the_options(nat: str, detail: str) -> None:
    pools = {"a10": {"instance_type": "g5.xlarge", "gpu_count": 1, "max": 2, "spot": True}}
    options = Options.model_validate({**OPTIONS, "nat": nat, "sql": "rds", "gpu_pools": pools})
    found = {c.what: c for c in worth.bill(options, 50).charges}
    assert (found["NAT"].detail.startswith(detail) if detail else "NAT" not in found) and found[
        "database"
    ].paid
    assert found["pool a10"].by_spot and found["system pool"].paid and found["volumes"].detail == "50 GiB gp3"
