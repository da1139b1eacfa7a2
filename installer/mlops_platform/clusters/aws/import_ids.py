"""Lookup of import ids for objects that a killed Terraform created and did not record.

An address of terraform/aws determines the name of its object; the tag shows that the object belongs to the
environment, or, for a kind without tags, the object that it is attached to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress, Silent
from mlops_platform.clusters.aws.ownership import Ownership, Verdict
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, StateBucket
from mlops_platform.clusters.aws.teardown.sweeps.index import tagged
from mlops_platform.clusters.aws.teardown.sweeps.kind import tags_of
from mlops_platform.clusters.aws.teardown.sweeps.rest import control_plane_log, key_tags
from mlops_platform.clusters.aws.waiters import CreationWaiter

# These can be created a second time without an error or a loss:
# IAM policy attachments, inline policies, bucket settings, access policies, autoscaling tags.
_ADDRESS = re.compile(r'(?:module\.\w+\.)?(?P<type>\w+)\.(?P<name>\w+)(?:\["(?P<key>.*)"\])?$')
# The EC2 kinds: the list call (operation, list, id), and the end of their Name tag; {key} is the key of
# for_each.
_VPCS = ("describe_vpcs", "Vpcs", "VpcId")
_SUBNETS = ("describe_subnets", "Subnets", "SubnetId")
_GATEWAYS = ("describe_internet_gateways", "InternetGateways", "InternetGatewayId")
_ADDRESSES = ("describe_addresses", "Addresses", "AllocationId")
_NATS = ("describe_nat_gateways", "NatGateways", "NatGatewayId")
_TABLES = ("describe_route_tables", "RouteTables", "RouteTableId")
_ENDPOINTS = ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId")
_TEMPLATES = ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId")
_GROUPS = ("describe_security_groups", "SecurityGroups", "GroupId")
_RULES = ("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId")
_NAMED: Mapping[tuple[str, str], tuple[tuple[str, str, str], str]] = {
    ("aws_vpc", "this"): (_VPCS, "vpc"),
    ("aws_subnet", "private"): (_SUBNETS, "private-{key}"),
    ("aws_subnet", "public"): (_SUBNETS, "public-{key}"),
    ("aws_subnet", "control"): (_SUBNETS, "control-{key}"),
    ("aws_internet_gateway", "this"): (_GATEWAYS, "internet"),
    ("aws_eip", "nat"): (_ADDRESSES, "nat-{key}"),
    ("aws_nat_gateway", "this"): (_NATS, "nat-{key}"),
    ("aws_route_table", "private"): (_TABLES, "private-{key}"),
    ("aws_route_table", "public"): (_TABLES, "public"),
    ("aws_vpc_endpoint", "s3"): (_ENDPOINTS, "s3"),
    ("aws_launch_template", "this"): (_TEMPLATES, "{key}"),
    ("aws_security_group", "database"): (_GROUPS, "{key}"),
    ("aws_vpc_security_group_ingress_rule", "database"): (_RULES, "{key}-cluster"),
    ("aws_vpc_security_group_ingress_rule", "connected"): (_RULES, "connected-{key}"),
}
# Deleted gateways and endpoints stay in lists for an hour.
_GONE = frozenset({"deleting", "deleted", "failed"})


class ImportIds:
    """Looks up import ids for one environment, each at most once.

    An imported object will be destroyed one day, so the rules of ownership.py apply.
    """

    def __init__(
        self,
        session: Session,
        environment: str,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._session = session
        self._environment = environment
        self._progress = progress or Silent()
        self._waiter = CreationWaiter(self._progress, cancel)
        self._cluster = f"mlops-{environment}"
        self._prefix = f"{self._cluster}-"

    def find(self, address: str) -> str:
        """The import id of an object; '' when there is none that belongs to the environment."""
        parsed = _ADDRESS.match(address)
        if not parsed:
            return ""
        kind, name, key = parsed["type"], parsed["name"], parsed["key"] or ""
        if (kind, name) in _NAMED:
            how, end = _NAMED[kind, name]
            return self._tagged(how, self._prefix + end.format(key=key))
        finder: Callable[[str, str], str] | None = getattr(self, f"_{kind}", None)
        return finder(name, key) if finder else ""

    def _tagged(self, how: tuple[str, str, str], named: str) -> str:
        """The EC2 object with this environment's tag and that Name."""
        operation, key, id_ = how
        wanted = {ENVIRONMENT_TAG: self._environment, "Name": named}
        filters = [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in wanted.items()]
        answer = self._session.ask("ec2", operation, Filters=filters) or {}
        found = [each for each in answer.get(key, ()) if str(each.get("State", "")).lower() not in _GONE]
        return str(found[0][id_]) if len(found) == 1 else ""

    @cached_property
    def _ownership(self) -> Ownership:
        record = StateBucket(self._session, self._environment).record()
        return Ownership(self._environment, self._cluster, record.every_run if record else frozenset())

    def _ours(self, tags: Mapping[str, str] | None, *, everywhere: bool = False) -> bool:
        """True: the tags are this environment's. `everywhere`: the kind has no region in its name.

        Without a run of the record, an object of an environment of the same name in another region would be
        imported, retagged and later destroyed (ADR 22).
        """
        return self._ownership.verdict(tags or {}, everywhere=everywhere) is Verdict.OURS

    def _aws_iam_role(self, name: str, key: str) -> str:
        role = self._prefix + (key or name)
        found = self._session.ask("iam", "get_role", RoleName=role)
        return role if found and self._ours(tags_of(found["Role"]), everywhere=True) else ""

    def _aws_kms_key(self, name: str, key: str) -> str:
        """Find it by alias: the tag index lags by minutes."""
        for each in self._keys():
            answer = self._session.ask("kms", "describe_key", KeyId=each)
            # Keys of earlier environments of this name are scheduled for deletion.
            if answer and answer["KeyMetadata"]["KeyState"] == "Enabled":
                id_ = str(answer["KeyMetadata"]["KeyId"])
                with asking("kms list-resource-tags"):
                    tags = key_tags(self._session, id_)
                if self._ours(tags):
                    return id_
        return ""

    def _keys(self) -> Iterator[str]:
        yield self._alias
        with asking("resourcegroupstaggingapi get-resources"):
            indexed = [*tagged(self._session, self._environment, "kms:key")]
        yield from (arn.rpartition("/")[2] for arn, _ in indexed)

    @property
    def _alias(self) -> str:
        return f"alias/{self._cluster}"

    def _aws_kms_alias(self, name: str, key: str) -> str:
        found = self._session.ask("kms", "describe_key", KeyId=self._alias)
        mine = found and found["KeyMetadata"]["KeyId"] == self._aws_kms_key("this", "")
        return self._alias if mine else ""

    def _aws_cloudwatch_log_group(self, name: str, key: str) -> str:
        return self.log_group()

    def log_group(self) -> str:
        """The log group of the control plane, which EKS recreates without a tag after Terraform deleted it.

        It has the unique name of our cluster. A group with tags belongs to another owner.
        """
        name = control_plane_log(self._cluster)
        found = self._session.ask("logs", "describe_log_groups", logGroupNamePrefix=name) or {}
        for group in found.get("logGroups", ()):
            if group["logGroupName"] == name:
                arn = group["arn"].removesuffix(":*")
                said = self._session.ask("logs", "list_tags_for_resource", resourceArn=arn)
                return name if said and (not said["tags"] or self._ours(said["tags"])) else ""
        return ""

    def _aws_eks_cluster(self, name: str, key: str) -> str:
        return self._cluster if self._eks("cluster", name=self._cluster) else ""

    def _aws_eks_node_group(self, name: str, key: str) -> str:
        there = self._eks("nodegroup", clusterName=self._cluster, nodegroupName=key)
        return f"{self._cluster}:{key}" if there else ""

    def _aws_eks_addon(self, name: str, key: str) -> str:
        there = self._eks("addon", clusterName=self._cluster, addonName=key)
        return f"{self._cluster}:{key}" if there else ""

    def _eks(self, kind: str, **which: str) -> bool:
        """True: the object is ours and can be imported; `kind` is the end of its operations' names."""

        def look() -> dict[str, Any]:
            found = self._session.ask("eks", f"describe_{kind}", **which)
            return dict(found[kind]) if found else {}

        return self._ours(look().get("tags")) and self._waiter.importable(
            f"{kind} {[*which.values()][-1]}",
            lambda: str(look().get("status", "")),
            lambda: self._session.ask("eks", f"delete_{kind}", **which),
        )

    def _aws_eks_access_entry(self, name: str, key: str) -> str:
        found = self._session.ask("eks", "describe_access_entry", clusterName=self._cluster, principalArn=key)
        return f"{self._cluster}:{key}" if found and self._ours(found["accessEntry"].get("tags")) else ""

    def _aws_eks_pod_identity_association(self, name: str, key: str) -> str:
        role = self._prefix + key
        found = self._session.ask("eks", "list_pod_identity_associations", clusterName=self._cluster)
        for each in (found or {}).get("associations", ()):
            more = self._session.ask(
                "eks",
                "describe_pod_identity_association",
                clusterName=self._cluster,
                associationId=each["associationId"],
            )
            if more and more["association"]["roleArn"].endswith(f":role/{role}"):
                return f"{self._cluster},{each['associationId']}"
        return ""

    def _aws_route(self, name: str, key: str) -> str:
        table = self._table(name, key)
        routes = table.get("Routes", ())
        there = any(r.get("DestinationCidrBlock") == "0.0.0.0/0" for r in routes)
        return f"{table['RouteTableId']}_0.0.0.0/0" if there else ""

    def _aws_route_table_association(self, name: str, key: str) -> str:
        table, subnet = self._table(name, key), self.find(f'aws_subnet.{name}["{key}"]')
        there = any(a.get("SubnetId") == subnet for a in table.get("Associations", ()))
        return f"{subnet}/{table['RouteTableId']}" if subnet and there else ""

    def _table(self, name: str, key: str) -> dict[str, Any]:
        address = "aws_route_table.public" if name == "public" else f'aws_route_table.private["{key}"]'
        found = self.find(address)
        answer = self._session.ask("ec2", "describe_route_tables", RouteTableIds=[found]) if found else None
        table: dict[str, Any] = answer["RouteTables"][0] if answer else {}
        return table

    def _aws_s3_bucket(self, name: str, key: str) -> str:
        bucket = f"{self._prefix}{key}-{self._session.account}"
        found = self._session.ask("s3", "get_bucket_tagging", Bucket=bucket)
        return bucket if found and self._ours(tags_of(found, "TagSet"), everywhere=True) else ""

    def _aws_ecr_repository(self, name: str, key: str) -> str:
        found = self._session.ask("ecr", "describe_repositories", repositoryNames=[self._cluster])
        if not found:
            return ""
        arn = found["repositories"][0]["repositoryArn"]
        tags = self._session.ask("ecr", "list_tags_for_resource", resourceArn=arn)
        return self._cluster if tags and self._ours(tags_of(tags, "tags")) else ""

    def _aws_db_instance(self, name: str, key: str) -> str:
        """A failed database is imported, not deleted: it may hold data."""
        database = self._prefix + key

        def look() -> dict[str, Any]:
            found = self._session.ask("rds", "describe_db_instances", DBInstanceIdentifier=database)
            return dict(found["DBInstances"][0]) if found else {}

        ours = self._ours(tags_of(look(), "TagList"))
        there = ours and self._waiter.made(f"database {database}", lambda: look().get("DBInstanceStatus", ""))
        return database if there else ""

    def _aws_db_subnet_group(self, name: str, key: str) -> str:
        group = self._prefix + key
        found = self._session.ask("rds", "describe_db_subnet_groups", DBSubnetGroupName=group)
        if not found:
            return ""
        arn = found["DBSubnetGroups"][0]["DBSubnetGroupArn"]
        tags = self._session.ask("rds", "list_tags_for_resource", ResourceName=arn)
        return group if tags and self._ours(tags_of(tags, "TagList")) else ""


def find(
    session: Session,
    environment: str,
    addresses: Sequence[str],
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Mapping[str, str]:
    """Map the addresses of existing objects to their import ids, and wait for objects still being created.

    Raises WaitTimedOut, Interrupted.
    """
    looking = ImportIds(session, environment, progress, cancel)
    found = {address: looking.find(address) for address in addresses}
    return {address: id_ for address, id_ in found.items() if id_}
