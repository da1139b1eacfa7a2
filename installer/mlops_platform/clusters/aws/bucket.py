"""The environment's S3 bucket as a managed service: its address, and the access of pods to its parts."""

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
    """The bucket that terraform/aws/stores.tf creates; `account` is looked up on use."""

    session: Session
    account: Callable[[], str]
    environment: str
    jobs: bool = True

    @property
    def name(self) -> str:
        return f"mlops-{self.environment}-artifacts-{self.account()}"

    @cached_property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """The Pod Identity agent, and S3's CIDRs in this region from the prefix list that AWS maintains.

        https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html
        """
        ec2, name = self.session.client("ec2"), f"com.amazonaws.{self.session.region}.s3"
        wanted = [{"Name": "prefix-list-name", "Values": [name]}]
        with asking("ec2 describe-managed-prefix-lists"):
            lists = ec2.describe_managed_prefix_lists(Filters=wanted)["PrefixLists"]
        if len(lists) != 1:
            raise StepError(f"{name}: {len(lists)} prefix lists have this name, expected 1")
        with asking("ec2 get-managed-prefix-list-entries"):
            asked = ("ec2", "get_managed_prefix_list_entries", "Entries")
            found = [
                each["Cidr"] for each in self.session.pages(*asked, PrefixListId=lists[0]["PrefixListId"])
            ]
        return (AGENT, *((cidr, _HTTPS) for cidr in sorted(found)))

    def values(self, namespace: str) -> Mapping[str, str]:
        region = self.session.region
        return {
            "name": self.name,
            "uri": f"s3://{self.name}/{namespace}",
            "endpoint": f"https://s3.{region}.{suffix(region)}",
            "region": region,
            "user": "",  # without user and password, AWS tools ask the agent
            "password": "",
            "credentials": "[default]\n",
        }

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        roles = dict.fromkeys(accounts, "artifacts")
        associate(self.session, self.account(), self.environment, namespace, roles)
