"""Roles, policies, instance profiles and identity providers, which have no region."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, tags_of, unless_gone

# The prefix of the profile that EKS creates for a node group, without our tag. It may be left over, and
# DeleteRole rejects a role that is in one.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSServiceRoleForAmazonEKSNodegroup.html
_NODES = "eks-"


def _roles(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Roles by name, then by tag: a list has no tags, and an account may have thousands of roles."""
    for raw in session.pages("iam", "list_roles", "Roles"):
        if raw["RoleName"].startswith(_start(ownership)):
            with unless_gone():
                tags = tags_of(session.client("iam").list_role_tags(RoleName=raw["RoleName"]))
                yield Resource(raw["RoleName"], tags, made=raw["CreateDate"])


def _policies(session: Session, ownership: Ownership) -> Iterator[Resource]:
    for raw in session.pages("iam", "list_policies", "Policies", Scope="Local"):
        if raw["PolicyName"].startswith(_start(ownership)):
            with unless_gone():
                tags = tags_of(session.client("iam").list_policy_tags(PolicyArn=raw["Arn"]))
                yield Resource(raw["Arn"], tags, made=raw["CreateDate"])


def _start(ownership: Ownership) -> str:
    return f"mlops-{ownership.environment}-"


def _profiles(session: Session, ownership: Ownership) -> Iterator[Resource]:
    client = session.client("iam")
    for raw in session.pages("iam", "list_instance_profiles", "InstanceProfiles"):
        name = raw["InstanceProfileName"]
        roles = ", ".join(role["RoleName"] for role in raw["Roles"])
        with unless_gone():
            tags = tags_of(client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"])
            yield Resource(name, tags, f"of role {roles}" if roles else "", made=raw["CreateDate"], raw=raw)


def _identity_providers(session: Session, ownership: Ownership) -> Iterator[Resource]:
    client = session.client("iam")
    for raw in client.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        with unless_gone():
            tags = tags_of(client.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=raw["Arn"]))
            yield Resource(raw["Arn"], tags)


def _delete_role(session: Session, found: Resource, ownership: Ownership) -> None:
    client = session.client("iam")
    for policy in session.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=found.id):
        client.detach_role_policy(RoleName=found.id, PolicyArn=policy["PolicyArn"])
    for name in session.pages("iam", "list_role_policies", "PolicyNames", RoleName=found.id):
        client.delete_role_policy(RoleName=found.id, PolicyName=name)
    held = session.pages("iam", "list_instance_profiles_for_role", "InstanceProfiles", RoleName=found.id)
    for profile in [each["InstanceProfileName"] for each in held]:
        client.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=found.id)
        if profile.startswith(_NODES):  # a profile has at most one role, and this one had ours
            client.delete_instance_profile(InstanceProfileName=profile)
    client.delete_role(RoleName=found.id)


def _delete_policy(session: Session, found: Resource, ownership: Ownership) -> None:
    """Delete the other versions first. A policy that is still attached elsewhere stays."""
    client = session.client("iam")
    for version in session.pages("iam", "list_policy_versions", "Versions", PolicyArn=found.id):
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=found.id, VersionId=version["VersionId"])
    client.delete_policy(PolicyArn=found.id)


def _delete_profile(session: Session, found: Resource, ownership: Ownership) -> None:
    client = session.client("iam")
    for role in found.raw["Roles"]:
        client.remove_role_from_instance_profile(InstanceProfileName=found.id, RoleName=role["RoleName"])
    client.delete_instance_profile(InstanceProfileName=found.id)


def _delete_identity_provider(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=found.id)


PROFILES = Kind("instance profile", _profiles, _delete_profile, "iam:instance-profile/", everywhere=True)
ROLES = Kind("iam role", _roles, _delete_role, "iam:role/", everywhere=True)
POLICIES = Kind("iam policy", _policies, _delete_policy, "iam:policy/", everywhere=True)
IDENTITY_PROVIDERS = Kind(
    "oidc provider", _identity_providers, _delete_identity_provider, "iam:oidc-provider/", everywhere=True
)
