"""Owns what an environment on AWS is worth: what it costs, and which objects of it hold data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.clusters.aws.cost import prices
from mlops_platform.clusters.aws.cost.prices import Pool

if TYPE_CHECKING:
    from mlops_platform.adapters.terraform.changes import Change
    from mlops_platform.clusters.aws.options import Options
    from mlops_platform.clusters.bill import Bill

# As terraform/aws makes them.
DATABASE, DATABASE_GIB = "db.t4g.medium", 50
KEYS = 1
_NATS: Mapping[str, int] = {"one": 1, "none": 0}
_HOLD: Mapping[str, str] = {
    "aws_eks_cluster": "everything in the cluster: releases, Secrets, and the claims on every volume",
    "aws_db_instance": "its databases and their automated backups",
    "aws_s3_bucket": "its objects, in all their versions",
    "aws_ebs_volume": "its file system",
    "aws_kms_key": "whatever is encrypted with it can be read no more",
    "aws_cloudwatch_log_group": "its logs",
}


def where(region: str, account: str) -> str:
    """For the head of a screen; an account is told by its ends, as people know theirs."""
    return f"aws {region}" + (f" · account {account[:4]}…{account[-4:]}" if account else "")


def bill(options: Options, volumes: float) -> Bill:
    """Of a cluster with these options, and `volumes` GiB of disks for what runs on it."""
    system = options.system_pool
    pools = [Pool("system pool", system.instance_type, system.min, system.max, system.disk)]
    pools += [
        Pool(f"pool {name}", pool.instance_type, pool.min, pool.max, pool.disk, pool.spot)
        for name, pool in sorted(options.gpu_pools.items())
    ]
    return prices.bill(
        options.region,
        pools,
        nats=_NATS.get(options.nat, len(options.three_zones)),
        keys=KEYS,
        volumes=volumes,
        database=DATABASE if options.sql == "rds" else "",
        database_storage=DATABASE_GIB,
        database_copies=2 if options.nat == "per-zone" else 1,
    )


def holds(change: Change) -> str:
    """What is lost with an object Terraform destroys; '' for what can be made again as it was.

    Nodes hold data where they have disks of their own, and stay: what comes and goes with the load, or
    with the spot market, never had a place to keep anything.
    """
    if change.type == "aws_eks_node_group":
        return _of_nodes(change.before)
    return _HOLD.get(change.type, "")


def _of_nodes(group: Mapping[str, Any]) -> str:
    scaling = (group.get("scaling_config") or [{}])[0]
    if not scaling.get("min_size") or group.get("capacity_type") == "SPOT":
        return ""
    names = group.get("instance_types") or ()
    known = [prices.table().types.get(name) for name in names]
    # With a launch template only that says the type. Every type with NVIDIA GPUs in the table has disks.
    gpus = "NVIDIA" in str(group.get("ami_type"))
    if any(each.local_disk for each in known if each) or None in known or (gpus and not names):
        return "what lies on the local disks of its nodes"
    return ""
