"""Adjustment of a pool's node count to its new limits, before Terraform sets these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws.session import Session, asking

if TYPE_CHECKING:
    from mlops_platform.clusters.aws.options import Pool

_SECONDS = 900.0


def fit(session: Session, cluster: str, pools: Mapping[str, Pool], progress: Progress) -> None:
    """Set the node count of each pool between its limits.

    Terraform ignores the count, which an autoscaler changes, so it sends the old one with the new limits,
    and EKS rejects that: https://github.com/hashicorp/terraform-provider-aws/issues/18310
    """
    for name, pool in pools.items():
        now = _group(session, cluster, name).get("scalingConfig", {}).get("desiredSize")
        if now is None or pool.min <= now <= pool.max:
            continue
        wanted = min(max(now, pool.min), pool.max)
        progress.say(f"pool {name}: {now} → {wanted} nodes")
        with asking("eks update-nodegroup-config"):
            session.client("eks").update_nodegroup_config(
                clusterName=cluster,
                nodegroupName=name,
                scalingConfig={"minSize": pool.min, "maxSize": pool.max, "desiredSize": wanted},
            )

        def settled(name: str = name) -> bool | Pending:
            status = _group(session, cluster, name).get("status")
            return status != "UPDATING" or Pending(f"EKS reports {status}")

        wait_until(f"pool {name} takes its new size", settled, seconds=_SECONDS, longest_delay=5)


def _group(session: Session, cluster: str, name: str) -> Mapping[str, Any]:
    """The node group of a pool; empty when it does not exist."""
    said = session.ask("eks", "describe_nodegroup", clusterName=cluster, nodegroupName=name)
    return dict(said["nodegroup"]) if said else {}
