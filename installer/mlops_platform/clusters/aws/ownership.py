"""Ownership of a cloud object, by its tags and the environment's record; only our own are ever deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, RUN_TAG

# Tags that controllers in a cluster, and EKS, give to their objects; the value is the cluster's name.
# https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html
# https://github.com/aws/amazon-vpc-cni-k8s/blob/master/README.md#cluster_name
BALANCERS = "elbv2.k8s.aws/cluster"
NODES = "eks:cluster-name"
SERVICE_TAG = "aws:eks:cluster-name"  # on objects that EKS removes itself with the cluster
INTERFACES = "cluster.k8s.amazonaws.com/name"
_BY_VALUE = (BALANCERS, NODES, SERVICE_TAG, INTERFACES)
KUBERNETES = "kubernetes.io/cluster/"  # and the cluster's name; the value is `owned`, or `shared`


class Verdict(StrEnum):
    """The owner. Only OURS is deleted. UNKNOWN has our tag and no record: it is listed and left alone."""

    OURS = "ours"
    UNKNOWN = "unknown"
    OTHERS = "others"


@dataclass(frozen=True)
class Ownership:
    """The ownership rules of one environment. `runs` are those of its record; without one no object is ours.

    `cluster` is the name of the record's cluster, which is unique in an account's region. `since` is the
    time of the record, None without one.
    """

    environment: str
    cluster: str
    runs: frozenset[str] = frozenset()
    since: datetime | None = None

    def keys(self, marks: tuple[str, ...]) -> tuple[str, ...]:
        """The tag keys of a kind: our own, and those of controllers, with the cluster's name."""
        known = marks if self.cluster else ()
        return (ENVIRONMENT_TAG, *(f"{m}{self.cluster}" if m == KUBERNETES else m for m in known))

    def verdict(self, tags: Mapping[str, str], *, everywhere: bool = False) -> Verdict:
        """Decide by an object's tags alone; names are no evidence.

        `everywhere` is for kinds without a region: an environment of the same name in another region has the
        same tag, so the tag of a run of the record is required.
        """
        if ENVIRONMENT_TAG in tags:
            if tags[ENVIRONMENT_TAG] != self.environment:
                return Verdict.OTHERS
            run = tags.get(RUN_TAG, "")
            if everywhere:
                return Verdict.OURS if run in self.runs else Verdict.UNKNOWN
            # Objects of users and controllers have no run tag: a record of the environment is enough.
            return Verdict.OURS if self.runs and (not run or run in self.runs) else Verdict.UNKNOWN
        if not self._made_by_cluster(tags):
            return Verdict.OTHERS
        return Verdict.OURS if self.runs else Verdict.UNKNOWN

    def _made_by_cluster(self, tags: Mapping[str, str]) -> bool:
        if not self.cluster:
            return False
        by_value = any(tags.get(key) == self.cluster for key in _BY_VALUE)
        return by_value or tags.get(f"{KUBERNETES}{self.cluster}") == "owned"
