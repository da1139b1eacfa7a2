"""Owns the environment's bucket as components see it: where it is, and whose pods may use which part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws.pod_identity import AGENT, associate
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.teardown.sweeps.index import suffix

_HTTPS = 443


@dataclass(frozen=True)
class Bucket:
    """Made by terraform/aws/stores.tf, whose names these are; `account` is asked late."""

    session: Session
    account: Callable[[], str]
    environment: str
    jobs: bool = True

    @cached_property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """S3's addresses in this region, as AWS keeps them for firewalls, and the agent.

        https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html
        """
        ec2, name = self.session.client("ec2"), f"com.amazonaws.{self.session.region}.s3"
        wanted = [{"Name": "prefix-list-name", "Values": [name]}]
        with asking("ec2 describe-managed-prefix-lists"):
            lists = ec2.describe_managed_prefix_lists(Filters=wanted)["PrefixLists"]
        if len(lists) != 1:
            raise StepError(f"{name}: {len(lists)} prefix lists of that name, and one is needed")
        with asking("ec2 get-managed-prefix-list-entries"):
            asked = ("ec2", "get_managed_prefix_list_entries", "Entries")
            found = [
                each["Cidr"] for each in self.session.pages(*asked, PrefixListId=lists[0]["PrefixListId"])
            ]
        return (AGENT, *((cidr, _HTTPS) for cidr in sorted(found)))

    def values(self, namespace: str) -> Mapping[str, str]:
        region = self.session.region
        bucket = f"mlops-{self.environment}-artifacts-{self.account()}"
        return {
            "name": bucket,
            "uri": f"s3://{bucket}/{namespace}",
            "endpoint": f"https://s3.{region}.{suffix(region)}",
            "region": region,
            "user": "",  # none, nor a password: AWS's tools go on to the agent then
            "password": "",
            "credentials": "[default]\n",
        }

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        associate(self.session, self.account(), self.environment, "artifacts", namespace, accounts)
