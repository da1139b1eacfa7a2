"""Owns letting pods be a role: by their service account, with no key to keep."""

from __future__ import annotations

from collections.abc import Sequence

from installer.clusters.aws.session import Session, asking
from installer.clusters.aws.state_bucket import ENVIRONMENT_TAG
from installer.clusters.aws.sweeps.index import partition

# The agent on each node that gives pods their role's credentials.
# https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
AGENT = ("169.254.170.23/32", 80)


def associate(
    session: Session, account: str, environment: str, role: str, namespace: str, accounts: Sequence[str]
) -> None:
    """From now on new pods with these service accounts are `role`, one of the environment's. Idempotent.

    Their sessions carry the namespace, of which a role's policy may speak.
    """
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
