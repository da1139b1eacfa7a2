"""The environment's node pools as a managed service for an autoscaler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlops_platform.clusters.aws.pod_identity import AGENT, associate
from mlops_platform.clusters.aws.session import Session


@dataclass(frozen=True)
class NodePools:
    """Access by the role of terraform/aws/modules/eks/scaling.tf; `account` is looked up on use."""

    session: Session
    account: Callable[[], str]
    environment: str
    jobs: bool = False

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """The Pod Identity agent, and port 443: the APIs that scale pools publish no CIDRs."""
        return (AGENT, ("0.0.0.0/0", 443))

    def values(self, namespace: str) -> Mapping[str, str]:
        return {"cloud": "aws", "region": self.session.region, "cluster": f"mlops-{self.environment}"}

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        roles = dict.fromkeys(accounts, "pools")
        associate(self.session, self.account(), self.environment, namespace, roles)
