"""The price of an environment on AWS, and the data in its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_platform.clusters.aws import prices
from mlops_platform.clusters.aws.prices import Pool

if TYPE_CHECKING:
    from mlops_platform.adapters.terraform.changes import Change
    from mlops_platform.clusters.aws.options import Options
    from mlops_platform.clusters.aws.state.record import EnvironmentRecord
    from mlops_platform.clusters.bill import Bill

# As terraform/aws makes them.
DATABASE, DATABASE_GIB = "db.t4g.medium", 50
KEYS = 1
_NATS: Mapping[str, int] = {"one": 1, "none": 0}
_DATA: Mapping[str, str] = {
    "aws_eks_cluster": "everything in the cluster: releases, Secrets, and the claims on every volume",
    "aws_db_instance": "its databases and their automated backups",
    "aws_s3_bucket": "its objects, in all their versions",
    "aws_ebs_volume": "its file system",
    "aws_kms_key": "everything that is encrypted with it becomes unreadable",
    "aws_cloudwatch_log_group": "its logs",
}


@dataclass(frozen=True)
class AwsCost:
    """The cost of an environment; without a `record`, since when is unknown."""

    options: Options
    record: EnvironmentRecord | None = None

    def bill(self, volumes: float) -> Bill:
        """The price of a cluster with these options, and `volumes` GiB of disks for its components."""
        options, system = self.options, self.options.system_pool
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

    def data_loss(self, change: Change) -> str:
        """The data lost with an object; '' for what can be created again as it was.

        Of nodes, those count that stay and have disks of their own: nodes that come and go with the load or
        the spot market keep no data.
        """
        if change.type == "aws_eks_node_group":
            return _of_nodes(change.before)
        return _DATA.get(change.type, "")

    def created_at(self) -> str:
        record = self.record.anywhere() if self.record else None
        return record.made_at if record else ""


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
