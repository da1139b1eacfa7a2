"""Owns finding what a killed Terraform had made without saying so: by tag, and by names that are ours.

An address of terraform/aws says what its object is called there; that the object is this environment's is
said by its tag, or, where a kind has none, by what it hangs on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from installer.clusters.aws.session import Session, asking, code_of
from installer.clusters.aws.state_bucket import ENVIRONMENT_TAG

_ABSENT = ("NotFound", "NoSuch", "404", "DoesNotExist", "ResourceNotFoundException")
# Making these once more is no mistake to AWS, or is what Terraform does to set them: nothing is lost.
# IAM policy attachments, inline policies, bucket settings, access policies, autoscaling tags.
_ADDRESS = re.compile(r'(?:module\.\w+\.)?(?P<type>\w+)\.(?P<name>\w+)(?:\["(?P<key>.*)"\])?$')
# The EC2 kinds: how they are listed (operation, list, id), and the end of the Name tag each has; {key} is the
# key of for_each.
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
    ("aws_internet_gateway", "this"): (_GATEWAYS, "internet"),
    ("aws_eip", "nat"): (_ADDRESSES, "nat-{key}"),
    ("aws_nat_gateway", "this"): (_NATS, "nat-{key}"),
    ("aws_route_table", "private"): (_TABLES, "private-{key}"),
    ("aws_route_table", "public"): (_TABLES, "public"),
    ("aws_vpc_endpoint", "s3"): (_ENDPOINTS, "s3"),
    ("aws_launch_template", "this"): (_TEMPLATES, "{key}"),
    ("aws_security_group", "database"): (_GROUPS, "{key}"),
    ("aws_vpc_security_group_ingress_rule", "database"): (_RULES, "{key}-cluster"),
}
# Gateways and endpoints are listed for an hour after they have gone.
_GONE = frozenset({"deleting", "deleted", "failed"})


class Lost:
    """Looks things up for one environment, each at most once."""

    def __init__(self, session: Session, environment: str) -> None:
        self._session = session
        self._environment = environment
        self._cluster = f"mlops-{environment}"
        self._prefix = f"{self._cluster}-"

    def find(self, address: str) -> str:
        """The id an object is imported by; '' when there is none, or none that is provably ours."""
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
        """The one of EC2's with this environment's tag and that Name."""
        operation, key, id_ = how
        wanted = {ENVIRONMENT_TAG: self._environment, "Name": named}
        filters = [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in wanted.items()]
        answer = self._ask("ec2", operation, Filters=filters) or {}
        found = [each for each in answer.get(key, ()) if str(each.get("State", "")).lower() not in _GONE]
        return str(found[0][id_]) if len(found) == 1 else ""

    def _ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """The answer; None when there is no such thing."""
        from botocore.exceptions import ClientError

        with asking(f"{service} {operation.replace('_', '-')}"):
            try:
                return getattr(self._session.client(service), operation)(**arguments)
            except ClientError as error:
                if any(word in code_of(error) for word in _ABSENT):
                    return None
                raise

    def _ours(self, tags: Any) -> bool:
        pairs = tags if isinstance(tags, dict) else {t["Key"]: t["Value"] for t in tags or ()}
        return bool(pairs.get(ENVIRONMENT_TAG) == self._environment)

    def _aws_iam_role(self, name: str, key: str) -> str:
        role = self._prefix + (key or name)
        found = self._ask("iam", "get_role", RoleName=role)
        return role if found and self._ours(found["Role"].get("Tags")) else ""

    def _aws_kms_key(self, name: str, key: str) -> str:
        wanted = [{"Key": ENVIRONMENT_TAG, "Values": [self._environment]}]
        with asking("resourcegroupstaggingapi get-resources"):
            found = self._session.pages(
                "resourcegroupstaggingapi",
                "get_resources",
                "ResourceTagMappingList",
                TagFilters=wanted,
                ResourceTypeFilters=["kms:key"],
            )
            ids = [each["ResourceARN"].rpartition("/")[2] for each in found]
        for each in ids:  # those of earlier lives of the environment are waiting for their end
            answer = self._ask("kms", "describe_key", KeyId=each)
            if answer and answer["KeyMetadata"]["KeyState"] == "Enabled":
                return str(each)
        return ""

    def _aws_kms_alias(self, name: str, key: str) -> str:
        alias = f"alias/{self._cluster}"
        found = self._ask("kms", "describe_key", KeyId=alias)
        mine = found and found["KeyMetadata"]["KeyId"] == self._aws_kms_key("this", "")
        return alias if mine else ""

    def _aws_cloudwatch_log_group(self, name: str, key: str) -> str:
        return self.log_group()

    def log_group(self) -> str:
        """The control plane's. EKS makes it again after Terraform has deleted it, without our tags; it
        carries the name of our cluster, which no other can have."""
        name = f"/aws/eks/{self._cluster}/cluster"
        found = self._ask("logs", "describe_log_groups", logGroupNamePrefix=name)
        return name if any(g["logGroupName"] == name for g in (found or {}).get("logGroups", ())) else ""

    def _aws_eks_cluster(self, name: str, key: str) -> str:
        found = self._ask("eks", "describe_cluster", name=self._cluster)
        return self._cluster if found and self._ours(found["cluster"].get("tags")) else ""

    def _aws_eks_node_group(self, name: str, key: str) -> str:
        found = self._ask("eks", "describe_nodegroup", clusterName=self._cluster, nodegroupName=key)
        return f"{self._cluster}:{key}" if found and self._ours(found["nodegroup"].get("tags")) else ""

    def _aws_eks_addon(self, name: str, key: str) -> str:
        found = self._ask("eks", "describe_addon", clusterName=self._cluster, addonName=key)
        return f"{self._cluster}:{key}" if found and self._ours(found["addon"].get("tags")) else ""

    def _aws_eks_access_entry(self, name: str, key: str) -> str:
        found = self._ask("eks", "describe_access_entry", clusterName=self._cluster, principalArn=key)
        return f"{self._cluster}:{key}" if found and self._ours(found["accessEntry"].get("tags")) else ""

    def _aws_eks_pod_identity_association(self, name: str, key: str) -> str:
        role = self._prefix + key
        found = self._ask("eks", "list_pod_identity_associations", clusterName=self._cluster)
        for each in (found or {}).get("associations", ()):
            more = self._ask(
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
        address = "aws_route_table.public" if name == "public" else f'aws_route_table.{name}["{key}"]'
        found = self.find(address)
        answer = self._ask("ec2", "describe_route_tables", RouteTableIds=[found]) if found else None
        table: dict[str, Any] = answer["RouteTables"][0] if answer else {}
        return table

    def _aws_s3_bucket(self, name: str, key: str) -> str:
        bucket = f"{self._prefix}{key}-{self._session.account}"
        found = self._ask("s3", "get_bucket_tagging", Bucket=bucket)
        return bucket if found and self._ours(found["TagSet"]) else ""

    def _aws_ecr_repository(self, name: str, key: str) -> str:
        found = self._ask("ecr", "describe_repositories", repositoryNames=[self._cluster])
        if not found:
            return ""
        arn = found["repositories"][0]["repositoryArn"]
        tags = self._ask("ecr", "list_tags_for_resource", resourceArn=arn)
        return self._cluster if tags and self._ours(tags["tags"]) else ""

    def _aws_db_instance(self, name: str, key: str) -> str:
        database = self._prefix + key
        found = self._ask("rds", "describe_db_instances", DBInstanceIdentifier=database)
        return database if found and self._ours(found["DBInstances"][0].get("TagList")) else ""

    def _aws_db_subnet_group(self, name: str, key: str) -> str:
        group = self._prefix + key
        return group if self._ask("rds", "describe_db_subnet_groups", DBSubnetGroupName=group) else ""


def find(session: Session, environment: str, addresses: Sequence[str]) -> Mapping[str, str]:
    """Those of the addresses whose objects exist, with the ids they are imported by."""
    looking = Lost(session, environment)
    found = {address: looking.find(address) for address in addresses}
    return {address: id_ for address, id_ in found.items() if id_}
