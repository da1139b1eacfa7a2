"""Corrections of moto's EC2, where it differs from AWS and this project's Terraform notices.

Corrected: the tags of a launch template itself are not part of its launch data; with moto, every plan would
remove them. A security group that another one refers to cannot be deleted; moto deletes it. Removed: the
2500 images, each with a disk and a snapshot, in every account of moto; listing snapshots took 2 s.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import amis
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.models.security_groups import SecurityGroupBackend


def extend() -> None:
    """Replace moto's methods, before its server starts."""
    original = LaunchTemplateBackend.create_launch_template

    def create(
        self: LaunchTemplateBackend, name: str, description: str, data: dict[str, Any], tags: dict[str, Any]
    ) -> Any:
        specifications = data.get("TagSpecifications") or []
        data["TagSpecifications"] = [s for s in specifications if s["ResourceType"] != "launch-template"]
        return original(self, name, description, data, tags)

    LaunchTemplateBackend.create_launch_template = create  # type: ignore[method-assign, assignment]
    _keep_named_groups()
    _few_images()


def _few_images() -> None:
    """Load one image, which is enough to start an instance."""
    image = {**amis.AMIS[0], "owner_alias": "amazon"}

    def load(self: amis.AmiBackend) -> None:
        self.amis[image["ami_id"]] = amis.Ami(self, **image)

    amis.AmiBackend._load_amis = load  # type: ignore[method-assign]


def _keep_named_groups() -> None:
    """Keep groups that others refer to, except groups that EKS deletes with its clusters."""
    original = SecurityGroupBackend.delete_security_group

    def delete(self: SecurityGroupBackend, name: str | None = None, group_id: str | None = None) -> None:
        group = self.get_security_group_by_name_or_id(group_id or name or "")
        if group and "aws:eks:cluster-name" not in {tag["key"] for tag in group.get_tags()}:
            for other in [each for groups in self.groups.values() for each in groups.values()]:
                rules = (*other.ingress_rules, *other.egress_rules)
                named = {rule.source_group.get("GroupId") for rule in rules if rule.source_group}
                if other.id != group.id and group.id in named:
                    raise DependencyViolationError(f"resource {group.id} has a dependent object")
        original(self, name, group_id)

    SecurityGroupBackend.delete_security_group = delete  # type: ignore[method-assign]
