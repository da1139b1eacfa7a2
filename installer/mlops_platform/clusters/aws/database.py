"""The environment's RDS instance as a managed server: its address and its admin account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.aws.teardown.sweeps.kind import tags_of

_PORT = 5432  # the port in terraform/aws


@dataclass(frozen=True)
class Database:
    """The database with the environment's tag, in the subnets `networks`."""

    session: Session
    environment: str
    networks: Sequence[str]

    @cached_property
    def _found(self) -> Mapping[str, Any]:
        with asking("rds describe-db-instances"):
            every = list(self.session.pages("rds", "describe_db_instances", "DBInstances"))
        ours = [each for each in every if tags_of(each, "TagList").get(ENVIRONMENT_TAG) == self.environment]
        if len(ours) != 1:
            raise StepError(
                f"{len(ours)} databases have the tag of {self.environment}, expected 1",
                hint="run `up` again: Terraform creates it",
                command="aws rds describe-db-instances",
            )
        found: Mapping[str, Any] = ours[0]
        return found

    @property
    def address(self) -> tuple[str, int]:
        endpoint = self._found["Endpoint"]
        return str(endpoint["Address"]), int(endpoint["Port"])

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """All of its subnets, because a failover to another zone changes the address. Sends no request."""
        return [(network, _PORT) for network in self.networks]

    def admin(self) -> Mapping[str, str]:
        """Read the account from Secrets Manager each time, because AWS rotates the password every week.

        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
        """
        arn = self._found["MasterUserSecret"]["SecretArn"]
        with asking("secretsmanager get-secret-value"):
            said = self.session.client("secretsmanager").get_secret_value(SecretId=arn)
        return {
            "user": self._found["MasterUsername"],
            "password": json.loads(said["SecretString"])["password"],
        }
