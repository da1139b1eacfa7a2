"""Owns what moto's EC2 does otherwise than AWS, where this project's Terraform meets it.

Mended: the tags of a launch template itself are not part of what it launches; moto's every plan would
take them out.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplateBackend


def extend() -> None:
    """Put it in moto's place, before its server starts."""
    original = LaunchTemplateBackend.create_launch_template

    def create(
        self: LaunchTemplateBackend, name: str, description: str, data: dict[str, Any], tags: dict[str, Any]
    ) -> Any:
        specifications = data.get("TagSpecifications") or []
        data["TagSpecifications"] = [s for s in specifications if s["ResourceType"] != "launch-template"]
        return original(self, name, description, data, tags)

    LaunchTemplateBackend.create_launch_template = create  # type: ignore[method-assign]
