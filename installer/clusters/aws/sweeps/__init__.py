"""Owns the sweep list: every kind of object an environment may leave, in the order in which they can go."""

from __future__ import annotations

from collections.abc import Mapping

from installer.clusters.aws.sweeps import balancers, ec2, eks, iam, rest, stores
from installer.clusters.aws.sweeps.kind import Kind
from installer.clusters.aws.sweeps.security_groups import SECURITY_GROUPS

# What makes or holds others first: nodes hold disks and interfaces, those hold groups and subnets.
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
    rest.LOG_GROUPS,
    rest.ALIASES,
    rest.KEYS,
    stores.BUCKETS,
)

# What `down --retain` may name, and which kinds it keeps: things that hold data and stand by themselves.
RETAIN: Mapping[str, tuple[str, ...]] = {
    "volumes": (ec2.VOLUMES.name,),
    "snapshots": (ec2.SNAPSHOTS.name, stores.DATABASE_SNAPSHOTS.name),
    "buckets": (stores.BUCKETS.name,),
    "logs": (rest.LOG_GROUPS.name,),
}
# What holds data that outlives a cluster by intention: not covered by `--yes`.
DATA = (stores.BUCKETS.name, stores.DATABASES.name)
