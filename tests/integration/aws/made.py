"""Owns making a cluster in the fake cloud by the command itself, as a person would."""

from __future__ import annotations

import json
import random
import signal
import sys
from typing import Any

from installer.adapters.process import spawn
from installer.adapters.terraform.folder import Folder
from installer.adapters.terraform.runner import recorded_process, session
from installer.adapters.wait import Pending, wait_until
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


def killed(machine: Machine, name: str, chance: random.Random, *command: str) -> int:
    """Run a command and kill it, its Terraform and all that has started, at a moment that chance picks.

    Returns how many objects Terraform had begun by then. It may have ended before: then nothing is killed.
    """
    folder, most = folder_of(machine, name), 45
    before, at = folder.run(), chance.randint(1, most)
    log = machine.folder / f"{name}.log"
    child = spawn([sys.executable, "-m", "installer", *command, "--env", name], stdout=log)

    def begun() -> int:
        text = folder.events.read_text() if folder.events.exists() and folder.run() != before else ""
        return text.count('"type":"apply_start"')

    def reached() -> bool | Pending:
        seen = begun()
        return seen >= at or child.poll() is not None or Pending(f"{seen} of {at}")

    wait_until("the moment to kill", reached, seconds=300, first_delay=0.01, longest_delay=0.05)
    running = recorded_process(folder)
    child.kill()
    for each in (running, *session(running)) if running else ():
        each.kill(signal.SIGKILL)
    child.wait()
    return begun()


def orphans(machine: Machine, name: str) -> set[str]:
    """Objects with the environment's tag that its state does not know, as the cloud itself lists them."""
    account, folder = machine.account, folder_of(machine, name)
    text = (folder.remote.read() if folder.remote else "") or ""
    ours = [{"Name": "key", "Values": ["mlops-platform/env"]}, {"Name": "value", "Values": [name]}]
    ec2 = account.client("ec2")
    found = {tag["ResourceId"] for tag in ec2.describe_tags(Filters=ours)["Tags"]}
    tagged = account.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "mlops-platform/env", "Values": [name]}]
    )["ResourceTagMappingList"]
    kms = account.client("kms")
    for arn in (each["ResourceARN"] for each in tagged):
        if ":kms:" in arn and kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingDeletion":
            continue
        if f"-{account.region}-{name}" not in arn:  # the state bucket itself
            found.add(arn.rpartition("/")[2].rpartition(":")[2] if ":s3:" not in arn else arn)
    roles = account.client("iam").list_roles()["Roles"]
    found |= {role["RoleName"] for role in roles if role["RoleName"].startswith(f"mlops-{name}-")}
    return {each for each in found if json.dumps(each)[1:-1] not in text}
