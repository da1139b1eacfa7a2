"""Proves which objects hold data, so that destroying one is asked about apart."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.adapters.terraform.changes import Change
from mlops_platform.base.paths import Paths
from mlops_platform.clusters.aws import prices
from mlops_platform.clusters.aws.cost import DATABASE, DATABASE_GIB, AwsCost
from mlops_platform.clusters.aws.options import Options
from mlops_platform.clusters.aws.session import where

OPTIONS = {"provider": "aws", "region": "eu-central-1"}


def lost(kind: str, **before: Any) -> str:
    return AwsCost(Options.model_validate(OPTIONS)).data_loss(
        Change(f"{kind}.this", kind, "destroy", before=before)
    )


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
        ("g5.xlarge", 1, "ON_DEMAND", "local disks"),
        ("g5.xlarge", 0, "ON_DEMAND", ""),  # gone whenever no pod asks for it
        ("g5.xlarge", 1, "SPOT", ""),
        ("m7i.xlarge", 2, "ON_DEMAND", ""),  # has no disk but the one the system is on
        ("x9z.large", 1, "ON_DEMAND", "local disks"),
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


def test_where_a_launch_template_has_the_type_the_image_tells_of_gpus() -> None:
    """Every type with GPUs has disks: else the rule in cost.py would have to be another."""
    assert all(t.local_disk for t in prices.table().types.values() if t.gpus)
    group = {"instance_types": [], "scaling_config": [{"min_size": 1}], "capacity_type": "ON_DEMAND"}
    assert lost("aws_eks_node_group", ami_type="AL2023_x86_64_NVIDIA", **group)
    assert not lost("aws_eks_node_group", ami_type="AL2023_x86_64_STANDARD", **group)


def test_the_database_is_the_one_terraform_makes_by_default() -> None:
    text = (Paths.default().assets / "terraform/aws/variables.tf").read_text()
    assert f'optional(string, "{DATABASE}")' in text and f"optional(number, {DATABASE_GIB})" in text


@pytest.mark.parametrize(("nat", "detail"), [("one", "1 with"), ("per-zone", "3 with"), ("none", "")])
def test_the_bill_follows_the_options(nat: str, detail: str) -> None:
    pools = {"a10": {"instance_type": "g5.xlarge", "gpu_count": 1, "max": 2, "spot": True}}
    options = Options.model_validate({**OPTIONS, "nat": nat, "sql": "rds", "gpu_pools": pools})
    found = {c.what: c for c in AwsCost(options).bill(50).charges}
    assert (found["NAT"].detail.startswith(detail) if detail else "NAT" not in found) and found[
        "database"
    ].paid
    assert found["pool a10"].by_spot and found["system pool"].paid and found["volumes"].detail == "50 GiB gp3"


def test_a_database_that_stands_by_in_a_second_zone_costs_twice() -> None:
    """terraform/aws makes it so where there is a NAT gateway in every zone: who wants the one wants both."""

    def database(nat: str) -> float:
        options = Options.model_validate({**OPTIONS, "nat": nat, "sql": "rds"})
        found = next(c for c in AwsCost(options).bill(0).charges if c.what == "database")
        assert found.paid and ("in two zones" in found.detail) == (nat == "per-zone")
        return found.paid.least

    assert database("per-zone") == pytest.approx(2 * database("one"))


def test_the_account_is_told_by_its_ends_once_it_is_known() -> None:
    assert where("eu-central-1", "") == "aws eu-central-1"
    assert where("eu-central-1", "123456789012") == "aws eu-central-1 · account 1234…9012"
