"""Owns the environment's node pools as whoever scales them sees them: which they are, and that it may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlops_platform.clusters.aws.pod_identity import AGENT, associate
from mlops_platform.clusters.aws.session import Session


@dataclass(frozen=True)
class NodePools:
    """Their role is made by terraform/aws/modules/eks/scaling.tf; `account` is asked late."""

    session: Session
    account: Callable[[], str]
    environment: str
    jobs: bool = False

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """The services by which pools are changed have no addresses of their own, in no region."""
        return (AGENT, ("0.0.0.0/0", 443))

    def values(self, namespace: str) -> Mapping[str, str]:
        return {"cloud": "aws", "region": self.session.region, "cluster": f"mlops-{self.environment}"}

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        associate(self.session, self.account(), self.environment, "pools", namespace, accounts)
