"""The price of an environment, and the objects with data, whose destruction needs consent."""

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
def test_loss_of_objects_with_data_is_described(kind: str) -> None:
    assert lost(kind)


@pytest.mark.parametrize("kind", ["aws_subnet", "aws_iam_role", "aws_nat_gateway", "aws_launch_template"])
def test_reproducible_objects_are_no_data_loss(kind: str) -> None:
    assert lost(kind) == ""


@pytest.mark.parametrize(
    ("instance_type", "least", "capacity", "loses"),
    [
        ("g5.xlarge", 1, "ON_DEMAND", "local disks"),
        ("g5.xlarge", 0, "ON_DEMAND", ""),  # ends when no pod needs it
        ("g5.xlarge", 1, "SPOT", ""),
        ("m7i.xlarge", 2, "ON_DEMAND", ""),  # has only the system disk
        ("x9z.large", 1, "ON_DEMAND", "local disks"),
    ],
)
def test_permanent_nodes_with_local_disks_are_data_loss(
    instance_type: str, least: int, capacity: str, loses: str
) -> None:
    group = {
        "instance_types": [instance_type],
        "capacity_type": capacity,
        "scaling_config": [{"min_size": least}],
    }
    loss = lost("aws_eks_node_group", **group)
    assert loses in loss and bool(loss) == bool(loses)


def test_gpu_nodes_of_a_launch_template_are_known_by_image() -> None:
    """Every type with GPUs has disks, which the rule in cost.py assumes."""
    assert all(t.local_disk for t in prices.table().types.values() if t.gpus)
    group = {"instance_types": [], "scaling_config": [{"min_size": 1}], "capacity_type": "ON_DEMAND"}
    assert lost("aws_eks_node_group", ami_type="AL2023_x86_64_NVIDIA", **group)
    assert not lost("aws_eks_node_group", ami_type="AL2023_x86_64_STANDARD", **group)


def test_database_is_the_default_of_terraform() -> None:
    text = (Paths.default().assets / "terraform/aws/variables.tf").read_text()
    assert f'optional(string, "{DATABASE}")' in text and f"optional(number, {DATABASE_GIB})" in text


@pytest.mark.parametrize(("nat", "detail"), [("one", "1 with"), ("per-zone", "3 with"), ("none", "")])
def test_bill_depends_on_options(nat: str, detail: str) -> None:
    pools = {"a10": {"instance_type": "g5.xlarge", "gpu_count": 1, "max": 2, "spot": True}}
    options = Options.model_validate({**OPTIONS, "nat": nat, "sql": "rds", "gpu_pools": pools})
    found = {c.what: c for c in AwsCost(options).bill(50).charges}
    assert (found["NAT"].detail.startswith(detail) if detail else "NAT" not in found) and found[
        "database"
    ].paid
    assert found["pool a10"].by_spot and found["system pool"].paid and found["volumes"].detail == "50 GiB gp3"


def test_database_with_standby_costs_twice() -> None:
    """terraform/aws creates a standby if there is a NAT gateway in every zone."""

    def database(nat: str) -> float:
        options = Options.model_validate({**OPTIONS, "nat": nat, "sql": "rds"})
        found = next(c for c in AwsCost(options).bill(0).charges if c.what == "database")
        assert found.paid and ("in two zones" in found.detail) == (nat == "per-zone")
        return found.paid.least

    assert database("per-zone") == pytest.approx(2 * database("one"))


def test_location_has_shortened_account() -> None:
    assert where("eu-central-1", "") == "aws eu-central-1"
    assert where("eu-central-1", "123456789012") == "aws eu-central-1 · account 1234…9012"
