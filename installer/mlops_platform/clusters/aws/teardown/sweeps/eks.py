"""The EKS cluster and its nodes, for a lost Terraform state."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.teardown.sweeps.index import worth_asking
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, tags_of, unless_gone, when

_DELETE_SECONDS = 1800  # a node group is drained first: at most 15 minutes per node


def _clusters(session: Session, ownership: Ownership) -> Iterator[Resource]:
    for name in filter(worth_asking(session, ownership, "eks:cluster"), _names(session)):
        with unless_gone():
            raw = session.client("eks").describe_cluster(name=name)["cluster"]
            yield Resource(
                name,
                raw.get("tags") or {},
                f"EKS {raw['version']}",
                made=when(raw["createdAt"]),
                going=raw["status"] == "DELETING",
            )


def _names(session: Session) -> Iterator[str]:
    return session.pages("eks", "list_clusters", "clusters")


def _node_groups(session: Session, ownership: Ownership) -> Iterator[Resource]:
    for cluster in filter(worth_asking(session, ownership, "eks:cluster"), _names(session)):
        with unless_gone():
            yield from _of_cluster(session, cluster)


def _of_cluster(session: Session, cluster: str) -> Iterator[Resource]:
    for name in session.pages("eks", "list_nodegroups", "nodegroups", clusterName=cluster):
        with unless_gone():
            answer = session.client("eks").describe_nodegroup(clusterName=cluster, nodegroupName=name)
            raw = answer["nodegroup"]
            types = ", ".join(raw.get("instanceTypes") or ())
            size = (raw.get("scalingConfig") or {}).get("desiredSize", 0)
            yield Resource(
                f"{cluster}:{name}",  # the id in Terraform
                raw.get("tags") or {},
                f"{size} x {types}",
                made=when(raw["createdAt"]),
                going=raw["status"] == "DELETING",
            )


def _scaling_groups(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Auto Scaling groups of users and autoscalers; those of node groups go with them."""
    for raw in session.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"):
        yield Resource(
            raw["AutoScalingGroupName"],
            tags_of(raw),
            f"{raw['DesiredCapacity']} of at most {raw['MaxSize']} instances",
            ", ".join(raw["AvailabilityZones"]),
            when(raw["CreatedTime"]),
            going=bool(raw.get("Status")),
        )


def _delete_cluster(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("eks").delete_cluster(name=found.id)


def _delete_node_group(session: Session, found: Resource, ownership: Ownership) -> None:
    cluster, _, name = found.id.partition(":")
    session.client("eks").delete_nodegroup(clusterName=cluster, nodegroupName=name)


def _delete_scaling_group(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=found.id, ForceDelete=True)


NODE_GROUPS = Kind("node group", _node_groups, _delete_node_group, "eks:nodegroup/", seconds=_DELETE_SECONDS)
SCALING_GROUPS = Kind(
    "scaling group", _scaling_groups, _delete_scaling_group,
    "autoscaling:autoScalingGroup:", seconds=_DELETE_SECONDS,
)  # fmt: skip
CLUSTERS = Kind("cluster", _clusters, _delete_cluster, "eks:cluster/", seconds=_DELETE_SECONDS)
