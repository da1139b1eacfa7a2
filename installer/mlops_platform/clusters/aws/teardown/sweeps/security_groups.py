"""Security groups, also those that reference each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mlops_platform.clusters.aws.ownership import BALANCERS, KUBERNETES, SERVICE_TAG, Ownership, Verdict
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.teardown.sweeps import ec2
from mlops_platform.clusters.aws.teardown.sweeps.kind import Resource, tags_of

Raw = Mapping[str, Any]


def _delete(session: Session, found: Resource, ownership: Ownership) -> None:
    """Revoke the rules that reference this group and its own references first, because of cycles.

    Only in our own groups: a rule in another owner's group stays, and then ours is a leftover.
    """
    client = session.client("ec2")
    for group in _naming(session, found.id):
        if _ours(group, ownership):
            _revoke(client, group, lambda pair: pair["GroupId"] == found.id)
    own = client.describe_security_groups(GroupIds=[found.id])["SecurityGroups"]  # the current rules
    for group in own:
        _revoke(client, group, lambda _: True)
    client.delete_security_group(GroupId=found.id)


def _naming(session: Session, group: str) -> Iterator[Raw]:
    """Groups with a rule, in either direction, that references this one."""
    seen: set[str] = set()
    for direction in ("ip-permission.group-id", "egress.ip-permission.group-id"):
        names_it = [{"Name": direction, "Values": [group]}]
        for raw in session.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=names_it):
            if raw["GroupId"] not in {group, *seen}:
                seen.add(raw["GroupId"])
                yield raw


def _revoke(client: Any, group: Raw, wanted: Callable[[Raw], bool]) -> None:
    """Revoke rules that reference groups; addresses in the same rules stay."""
    for key, revoke in (
        ("IpPermissions", client.revoke_security_group_ingress),
        ("IpPermissionsEgress", client.revoke_security_group_egress),
    ):
        rules = [part for rule in group[key] if (part := _pairs(rule, wanted))]
        if rules:
            revoke(GroupId=group["GroupId"], IpPermissions=rules)


def _pairs(rule: Raw, wanted: Callable[[Raw], bool]) -> dict[str, Any]:
    pairs = [{"GroupId": pair["GroupId"]} for pair in rule.get("UserIdGroupPairs", ()) if wanted(pair)]
    ports = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}
    return {**ports, "UserIdGroupPairs": pairs} if pairs else {}


def _ours(raw: Raw, ownership: Ownership) -> bool:
    return ownership.verdict(tags_of(raw)) is Verdict.OURS


def _explain(session: Session, ownership: Ownership, found: Resource) -> str:
    """A text such as 'referenced by sg-0c2… (not ours), used by eni-0d1… of instance i-0aa… (not ours)'."""
    held = [
        f"referenced by {raw['GroupId']}{'' if _ours(raw, ownership) else ' (not ours)'}"
        for raw in _naming(session, found.id)
    ]
    uses = [{"Name": "group-id", "Values": [found.id]}]
    for raw in session.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=uses):
        held.append(f"used by {ec2.interface_name(raw, ownership)}")
    return ", ".join(held)


SECURITY_GROUPS = replace(
    ec2.kind(
        "security group", "security-group", "describe_security_groups", "SecurityGroups", "GroupId",
        lambda ec2, it: ec2.delete_security_group(GroupId=it.id), lambda raw: {"about": raw["GroupName"]},
        explain=_explain, marks=(KUBERNETES, BALANCERS, SERVICE_TAG), blocks=True,
    ),
    delete=_delete,
)  # fmt: skip
