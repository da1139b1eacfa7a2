"""Owns making a cluster in the fake cloud by the command itself, as a person would."""

from __future__ import annotations

from typing import Any

from installer.adapters.terraform.folder import Folder
from installer.commands import up as command
from installer.reach import read_only
from installer.session import open_environment
from tests.integration.aws.world import Machine, Said

# The API server does not exist in the fake cloud, so nothing can be let through there by a policy.
OPTIONS: dict[str, Any] = {
    "network_policy": "standard",
    "admins": ["arn:aws:iam::111122223333:role/platform"],
    "gpu_pools": {
        "a10": {
            "instance_type": "g5.xlarge",
            "gpu_count": 1,
            "max": 2,
            "spot": True,
            "labels": {"team": "ml"},
        }
    },
}


def up(machine: Machine, name: str) -> Said:
    """`up --only cluster --yes`."""
    return machine.says(
        "up",
        name,
        lambda console: command.run(console, yes=True, allow_data_loss=False, parallel=4, only="cluster"),
    )


def folder_of(machine: Machine, name: str) -> Folder:
    """Of the environment's Terraform, on this machine."""
    opened = open_environment(name)
    work = read_only(opened)
    return Folder(work.cluster.root, opened.state / "terraform", work.cluster.remote)
