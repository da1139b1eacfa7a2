"""Owns the one question before anything is deleted: is it provably this environment's? By tag and record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, RUN_TAG

# What controllers in a cluster, and EKS itself, write on what they make; the value is the cluster's name.
# https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html
# https://github.com/aws/amazon-vpc-cni-k8s/blob/master/README.md#cluster_name
BALANCERS = "elbv2.k8s.aws/cluster"
NODES = "eks:cluster-name"
SERVICE_TAG = "aws:eks:cluster-name"  # of what EKS removes itself, with the cluster
INTERFACES = "cluster.k8s.amazonaws.com/name"
_BY_VALUE = (BALANCERS, NODES, SERVICE_TAG, INTERFACES)
KUBERNETES = "kubernetes.io/cluster/"  # with the name behind it, and `owned`; `shared` is somebody else's


class Verdict(StrEnum):
    """Only OURS is ever deleted. UNPROVEN has our tag and no record: it is listed, and left alone."""

    OURS = "ours"
    UNPROVEN = "unproven"
    OTHERS = "others"


@dataclass(frozen=True)
class Ownership:
    """Of one environment. `runs` are those of its record, empty without one: then nothing is proven.

    `cluster` is the name of the cluster that record is of: one name is one cluster in an account's region.
    `since` is when the record was made, None without one.
    """

    environment: str
    cluster: str
    runs: frozenset[str] = frozenset()
    since: datetime | None = None

    def keys(self, marks: tuple[str, ...]) -> tuple[str, ...]:
        """Keys of the tags by which a kind may be ours: our own, and what else marks it, with the name."""
        known = marks if self.cluster else ()
        return (ENVIRONMENT_TAG, *(f"{m}{self.cluster}" if m == KUBERNETES else m for m in known))

    def verdict(self, tags: Mapping[str, str], *, everywhere: bool = False) -> Verdict:
        """From an object's tags alone. Names prove nothing, and are not asked for.

        `everywhere` is for kinds without a region, where an environment of the same name in another
        region has the same tag: there the run must be named, and be one of the record's.
        """
        if ENVIRONMENT_TAG in tags:
            if tags[ENVIRONMENT_TAG] != self.environment:
                return Verdict.OTHERS
            run = tags.get(RUN_TAG, "")
            if everywhere:
                return Verdict.OURS if run in self.runs else Verdict.UNPROVEN
            # What a person or a controller tags carries no run: the record of the environment is enough.
            return Verdict.OURS if self.runs and (not run or run in self.runs) else Verdict.UNPROVEN
        if not self._made_by_cluster(tags):
            return Verdict.OTHERS
        return Verdict.OURS if self.runs else Verdict.UNPROVEN

    def _made_by_cluster(self, tags: Mapping[str, str]) -> bool:
        if not self.cluster:
            return False
        by_value = any(tags.get(key) == self.cluster for key in _BY_VALUE)
        return by_value or tags.get(f"{KUBERNETES}{self.cluster}") == "owned"
