"""The kinds of objects that an environment may leave, in the order of their deletion."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_platform.clusters.aws.teardown.sweeps import balancers, ec2, eks, iam, rest, stores
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind
from mlops_platform.clusters.aws.teardown.sweeps.security_groups import SECURITY_GROUPS
from mlops_platform.clusters.leftovers import Retain

# Users before what they use: nodes use disks and interfaces, which use security groups and subnets.
KINDS: tuple[Kind, ...] = (
    *balancers.BALANCERS,
    eks.NODE_GROUPS,
    eks.SCALING_GROUPS,
    ec2.INSTANCES,
    eks.CLUSTERS,
    stores.DATABASES,
    stores.DATABASE_SUBNETS,
    stores.DATABASE_SNAPSHOTS,
    ec2.INTERFACES,
    ec2.VOLUMES,
    ec2.SNAPSHOTS,
    ec2.LAUNCH_TEMPLATES,
    SECURITY_GROUPS,
    *ec2.NETWORK,
    iam.PROFILES,
    iam.ROLES,
    iam.POLICIES,
    iam.IDENTITY_PROVIDERS,
    stores.REPOSITORIES,
    rest.LOG_GROUPS,
    rest.ALIASES,
    rest.KEYS,
    stores.BUCKETS,
)

# With the environment's key: a bucket's objects and a database's snapshots are unreadable without it.
_KEY = Retain((rest.KEYS.name, rest.ALIASES.name), ("aws_kms_key", "aws_kms_alias"))
# The words of `down --retain`: kinds with data that do not need the cluster.
RETAIN: Mapping[str, Retain] = {
    "volumes": Retain((ec2.VOLUMES.name,)),
    "snapshots": Retain((ec2.SNAPSHOTS.name, stores.DATABASE_SNAPSHOTS.name, *_KEY.kinds), _KEY.types),
    "buckets": Retain(
        (stores.BUCKETS.name, *_KEY.kinds),
        (
            "aws_s3_bucket",
            "aws_s3_bucket_public_access_block",
            "aws_s3_bucket_server_side_encryption_configuration",
            "aws_s3_bucket_versioning",
            *_KEY.types,
        ),
    ),
    "logs": Retain((rest.LOG_GROUPS.name,), ("aws_cloudwatch_log_group",)),
}
# Data that is meant to outlive a cluster: `--yes` does not permit its deletion.
DATA = (stores.BUCKETS, stores.DATABASES)
