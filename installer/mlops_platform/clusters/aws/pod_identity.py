"""EKS Pod Identity: pods get an IAM role by their service account, without a key."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.aws.teardown.sweeps.index import partition

# The agent on each node, which gives pods the credentials of their role.
# https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
AGENT = ("169.254.170.23/32", 80)
# "Eventually consistent, several seconds": a pod created before never gets credentials, and no call
# returns when it is in effect. https://docs.aws.amazon.com/cli/latest/reference/eks/create-pod-identity-association.html
EFFECTIVE_SECONDS = 20.0


def associate(
    session: Session, account: str, environment: str, namespace: str, roles: Mapping[str, str]
) -> None:
    """Give new pods with each service account its role, one of the environment's. Idempotent.

    Sessions have the namespace as a tag, for the role's policy. Returns once it is in effect.
    """
    made = 0.0
    eks, cluster = session.client("eks"), f"mlops-{environment}"
    arn = f"arn:{partition(session.region)}:iam::{account}:role/{cluster}-"
    for name, role in roles.items():
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
                roleArn=arn + role,
                tags={ENVIRONMENT_TAG: environment},
            )
        made = time.monotonic()

    def in_effect() -> bool | Pending:
        return time.monotonic() - made >= EFFECTIVE_SECONDS or Pending("the role is new")

    if made:
        wait_until("pods get their role", in_effect, seconds=2 * EFFECTIVE_SECONDS + 1)


def dissociate(session: Session, environment: str, namespace: str) -> None:
    """End the roles of all service accounts of a namespace. Idempotent."""
    cluster = f"mlops-{environment}"
    asked = ("eks", "list_pod_identity_associations", "associations")
    with asking("eks list-pod-identity-associations"):
        found = list(session.pages(*asked, clusterName=cluster, namespace=namespace))
    for each in found:
        id_ = each["associationId"]
        session.ask("eks", "delete_pod_identity_association", clusterName=cluster, associationId=id_)
