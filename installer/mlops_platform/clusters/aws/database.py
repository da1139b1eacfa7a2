"""Owns the environment's RDS instance as a server in which accounts are made: where it is, and by whom."""

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

_PORT = 5432  # terraform/aws asks for no other


@dataclass(frozen=True)
class Database:
    """The one with the environment's tag, in the subnets `networks`."""

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
                f"{len(ours)} databases have the tag of {self.environment}, and one is needed",
                hint="it is Terraform's to make: run up again",
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
        """All of its subnets: it has another address after a failover to another zone. Asks nobody."""
        return [(network, _PORT) for network in self.networks]

    def admin(self) -> Mapping[str, str]:
        """AWS makes the password, rotates it every week and keeps it: it is asked for each time.

        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
        """
        arn = self._found["MasterUserSecret"]["SecretArn"]
        with asking("secretsmanager get-secret-value"):
            said = self.session.client("secretsmanager").get_secret_value(SecretId=arn)
        return {
            "user": self._found["MasterUsername"],
            "password": json.loads(said["SecretString"])["password"],
        }
