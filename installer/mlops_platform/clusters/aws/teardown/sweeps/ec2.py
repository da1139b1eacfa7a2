"""The kinds of EC2 and VPC objects, as a table: all have the same API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from mlops_platform.clusters.aws.ownership import INTERFACES as INTERFACES_TAG
from mlops_platform.clusters.aws.ownership import KUBERNETES, NODES, Ownership, Verdict
from mlops_platform.clusters.aws.session import Session, absent
from mlops_platform.clusters.aws.teardown.sweeps.kind import Explain, Kind, Resource, tags_of, when

Raw = Mapping[str, Any]
_GOING = frozenset({"deleting", "shutting-down"})
_GONE = frozenset({"deleted", "terminated"})
_MADE = ("CreateTime", "StartTime", "LaunchTime", "CreationTimestamp", "CreateDate")


def _find(
    operation: str,
    key: str,
    id_key: str,
    describe: Callable[[Raw], dict[str, Any]],
    marks: tuple[str, ...],
    arguments: Mapping[str, Any],
    session: Session,
    ownership: Ownership,
) -> Iterator[Resource]:
    """List objects by tag key, one call per key; the verdict comes afterwards."""
    seen: set[str] = set()
    for tag in ownership.keys(marks):
        wanted = [{"Name": "tag-key", "Values": [tag]}]
        for raw in _pages(session, operation, key, Filters=wanted, **arguments):
            id, state = str(raw[id_key]), _state(raw)
            if id in seen or state in _GONE or _part_of_vpc(raw):
                continue
            seen.add(id)
            made = next((when(raw[name]) for name in _MADE if name in raw), None)
            tags = tags_of(raw, "TagSet" if "TagSet" in raw else "Tags")
            yield Resource(id, tags, raw=raw, **{"made": made, "going": state in _GOING, **describe(raw)})


def _part_of_vpc(raw: Raw) -> bool:
    """True: the default route table, ACL or security group of a VPC, which cannot be deleted alone."""
    main = any(association.get("Main") for association in raw.get("Associations", ()))
    return main or bool(raw.get("IsDefault")) or raw.get("GroupName") == "default"


def _exists(
    operation: str, key: str, id_key: str, arguments: Mapping[str, Any], session: Session, id: str
) -> bool:
    try:
        found = [*_pages(session, operation, key, **{f"{id_key}s": [id]}, **arguments)]
    except ClientError as error:
        if absent(error):
            return False
        raise
    return any(_state(raw) not in _GONE for raw in found)


def _pages(session: Session, operation: str, key: str, **arguments: Any) -> Iterator[Raw]:
    """All items: some operations have no paginator; instances are grouped in reservations."""
    client = session.client("ec2")
    if client.can_paginate(operation):
        found = session.pages("ec2", operation, key, **arguments)
    else:
        found = iter(getattr(client, operation)(**arguments)[key])
    for raw in found:
        yield from raw["Instances"] if key == "Reservations" else (raw,)


def _state(raw: Raw) -> str:
    state = raw.get("State")
    return str(state.get("Name", "")) if isinstance(state, Mapping) else str(state or "")


def kind(
    name: str,
    arn: str,
    operation: str,
    key: str,
    id_key: str,
    delete: Callable[[Any, Resource], object],
    describe: Callable[[Raw], dict[str, Any]] = lambda _: {},
    *,
    explain: Explain | None = None,
    marks: tuple[str, ...] = (),
    blocks: bool = False,
    seconds: float = 300,
    **arguments: Any,
) -> Kind:
    """A kind: the call that lists it, and the call that deletes it.

    `marks`: tags of controllers in the cluster, or of EKS, which create such objects too.
    """

    def delete_one(session: Session, resource: Resource, ownership: Ownership) -> None:
        delete(session.client("ec2"), resource)

    return Kind(
        name=name,
        find=partial(_find, operation, key, id_key, describe, marks, arguments),
        delete=delete_one,
        arn=f"ec2:{arn}/",
        exists=partial(_exists, operation, key, id_key, arguments),
        explain=explain,
        blocks=blocks,
        seconds=seconds,
    )


def _volume(raw: Raw) -> dict[str, Any]:
    holders = [a["InstanceId"] for a in raw.get("Attachments", ()) if a.get("State") != "detached"]
    return {
        "about": f"{raw['Size']} GiB {raw['VolumeType']}",
        "zone": raw["AvailabilityZone"],
        "busy": f"attached to {', '.join(holders)}" if holders else "",
    }


def _interface(raw: Raw) -> dict[str, Any]:
    """An interface; one in use goes with its user."""
    attachment = raw.get("Attachment") or {}
    user = attachment.get("InstanceId") or attachment.get("InstanceOwnerId") or "something"
    return {
        "about": " ".join(filter(None, (raw.get("PrivateIpAddress"), raw.get("Description")))),
        "zone": raw.get("AvailabilityZone", ""),
        "busy": "" if raw.get("Status") == "available" else f"in use by {user}",
    }


def _subnet(raw: Raw) -> dict[str, Any]:
    return {"about": raw["CidrBlock"], "zone": raw["AvailabilityZone"]}


def _inside(filter_name: str, session: Session, ownership: Ownership, found: Resource) -> str:
    """The interfaces in a subnet or VPC, with their owners, which prevent its deletion."""
    where = [{"Name": filter_name, "Values": [found.id]}]
    return ", ".join(
        f"contains {interface_name(raw, ownership)}"
        for raw in _pages(session, "describe_network_interfaces", "NetworkInterfaces", Filters=where)
    )


def interface_name(raw: Raw, ownership: Ownership) -> str:
    """A name such as 'eni-0d1… of instance i-0aa… (not ours)'."""
    user = (raw.get("Attachment") or {}).get("InstanceId")
    ours = ownership.verdict(tags_of(raw, "TagSet")) is Verdict.OURS
    whose = "" if ours else " (not ours)"
    return f"{raw['NetworkInterfaceId']}{f' of instance {user}' if user else ''}{whose}"


def _endpoint(raw: Raw) -> dict[str, Any]:
    return {"about": raw["ServiceName"].rsplit(".", 1)[-1]}


def _disassociate_and_delete(client: Any, found: Resource) -> None:
    for association in found.raw.get("Associations", ()):
        client.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    client.delete_route_table(RouteTableId=found.id)


def _detach_and_delete(client: Any, found: Resource) -> None:
    for attachment in found.raw.get("Attachments", ()):
        client.detach_internet_gateway(InternetGatewayId=found.id, VpcId=attachment["VpcId"])
    client.delete_internet_gateway(InternetGatewayId=found.id)


def _disassociate_and_release(client: Any, found: Resource) -> None:
    if association := found.raw.get("AssociationId"):
        client.disassociate_address(AssociationId=association)
    client.release_address(AllocationId=found.id)


INSTANCES = kind(
    "instance", "instance", "describe_instances", "Reservations", "InstanceId",
    lambda ec2, it: ec2.terminate_instances(InstanceIds=[it.id]),
    lambda raw: {"about": raw["InstanceType"], "zone": raw["Placement"]["AvailabilityZone"]},
    marks=(KUBERNETES, NODES), seconds=600,
)  # fmt: skip
INTERFACES = kind(
    "network interface", "network-interface",
    "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId",
    lambda ec2, it: ec2.delete_network_interface(NetworkInterfaceId=it.id), _interface,
    marks=(KUBERNETES, INTERFACES_TAG), blocks=True,
)  # fmt: skip
VOLUMES = kind(
    "ebs volume", "volume", "describe_volumes", "Volumes", "VolumeId",
    lambda ec2, it: ec2.delete_volume(VolumeId=it.id), _volume, marks=(KUBERNETES,), seconds=120,
)  # fmt: skip
SNAPSHOTS = kind(
    "ebs snapshot", "snapshot", "describe_snapshots", "Snapshots", "SnapshotId",
    lambda ec2, it: ec2.delete_snapshot(SnapshotId=it.id),
    lambda raw: {"about": f"{raw['VolumeSize']} GiB of {raw['VolumeId']}"},
    marks=(KUBERNETES,), OwnerIds=["self"],
)  # fmt: skip
LAUNCH_TEMPLATES = kind(
    "launch template", "launch-template",
    "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId",
    lambda ec2, it: ec2.delete_launch_template(LaunchTemplateId=it.id),
    lambda raw: {"about": raw["LaunchTemplateName"]}, marks=(NODES,),
)  # fmt: skip
NETWORK = (
    kind("nat gateway", "natgateway", "describe_nat_gateways", "NatGateways", "NatGatewayId",
         lambda ec2, it: ec2.delete_nat_gateway(NatGatewayId=it.id)),
    kind("vpc endpoint", "vpc-endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId",
         lambda ec2, it: ec2.delete_vpc_endpoints(VpcEndpointIds=[it.id]), _endpoint),
    kind("elastic ip", "elastic-ip", "describe_addresses", "Addresses", "AllocationId",
         _disassociate_and_release, lambda raw: {"about": raw["PublicIp"]}),
    kind("internet gateway", "internet-gateway",
         "describe_internet_gateways", "InternetGateways", "InternetGatewayId", _detach_and_delete),
    kind("egress-only gateway", "egress-only-internet-gateway",
         "describe_egress_only_internet_gateways",
         "EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId",
         lambda ec2, it: ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=it.id)),
    kind("route table", "route-table", "describe_route_tables", "RouteTables", "RouteTableId",
         _disassociate_and_delete),
    kind("network acl", "network-acl", "describe_network_acls", "NetworkAcls", "NetworkAclId",
         lambda ec2, it: ec2.delete_network_acl(NetworkAclId=it.id)),
    kind("subnet", "subnet", "describe_subnets", "Subnets", "SubnetId",
         lambda ec2, it: ec2.delete_subnet(SubnetId=it.id), _subnet,
         explain=partial(_inside, "subnet-id")),
    kind("vpc", "vpc", "describe_vpcs", "Vpcs", "VpcId",
         lambda ec2, it: ec2.delete_vpc(VpcId=it.id), lambda raw: {"about": raw["CidrBlock"]},
         explain=partial(_inside, "vpc-id")),
    kind("dhcp options", "dhcp-options", "describe_dhcp_options", "DhcpOptions", "DhcpOptionsId",
         lambda ec2, it: ec2.delete_dhcp_options(DhcpOptionsId=it.id)),
)  # fmt: skip
