"""Owns letting pods be a role: by their service account, with no key to keep."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.aws.teardown.sweeps.index import partition

# The agent on each node that gives pods their role's credentials.
# https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
AGENT = ("169.254.170.23/32", 80)
# "Eventually consistent, several seconds": a pod made before has no credentials for as long as it lives,
# and nothing tells when it holds. https://docs.aws.amazon.com/cli/latest/reference/eks/create-pod-identity-association.html
EFFECTIVE_SECONDS = 20.0


def associate(
    session: Session, account: str, environment: str, role: str, namespace: str, accounts: Sequence[str]
) -> None:
    """From now on new pods with these service accounts are `role`, one of the environment's. Idempotent.

    Their sessions carry the namespace, of which a role's policy may speak. Returns once it holds.
    """
    made = 0.0
    eks, cluster = session.client("eks"), f"mlops-{environment}"
    arn = f"arn:{partition(session.region)}:iam::{account}:role/{cluster}-{role}"
    for name in accounts:
        with asking("eks list-pod-identity-associations"):
            said = eks.list_pod_identity_associations(
                clusterName=cluster, namespace=namespace, serviceAccount=name
            )
        if said["associations"]:
            continue
        with asking("eks create-pod-identity-association"):
            eks.create_pod_identity_association(
                clusterName=cluster,
                namespace=namespace,
                serviceAccount=name,
                roleArn=arn,
                tags={ENVIRONMENT_TAG: environment},
            )
        made = time.monotonic()

    def holds() -> bool | Pending:
        return time.monotonic() - made >= EFFECTIVE_SECONDS or Pending("the role is new")

    if made:
        wait_until("pods get their role", holds, seconds=2 * EFFECTIVE_SECONDS + 1)
