"""Owns making a cluster in the fake cloud by the command itself, as a person would."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from installer.adapters.process import spawn
from installer.adapters.terraform.folder import Folder
from installer.adapters.terraform.runner import recorded_process, session
from installer.adapters.wait import Pending, wait_until
from installer.commands import up as command
from installer.progress import Silent
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
_MOST = 45  # objects of a small cluster, and a few more: then nothing is stopped
_END_SECONDS = 300


def up(machine: Machine, name: str) -> Said:
    """`up --only cluster --yes`."""
    return machine.says(
        "up",
        name,
        lambda console: command.run(console, yes=True, allow_data_loss=False, parallel=4, only="cluster"),
    )


def recover(name: str) -> None:
    """What the next run does first, and no more."""
    read_only(open_environment(name)).terraform.recover(Silent())


def folder_of(machine: Machine, name: str) -> Folder:
    """Of the environment's Terraform, on this machine."""
    opened = open_environment(name)
    work = read_only(opened)
    return Folder(work.cluster.root, opened.state / "terraform", work.cluster.remote)


def killed(machine: Machine, name: str, chance: random.Random, *command: str) -> int:
    """Run a command and kill it, its Terraform and all that has started, at a moment that chance picks.

    Returns how many objects Terraform had begun by then. It may have ended before: then nothing is killed.
    """
    folder = folder_of(machine, name)
    child, begun = _at_some_moment(machine, name, chance, *command)
    running = recorded_process(folder)
    child.kill()
    for each in (running, *session(running)) if running else ():
        each.kill(signal.SIGKILL)
    child.wait()
    return begun()


def interrupted(machine: Machine, name: str, chance: random.Random, *command: str) -> int:
    """Run a command and press Ctrl-C once; returns its status, which is 0 when it had ended before."""
    child, _ = _at_some_moment(machine, name, chance, *command)
    child.send_signal(signal.SIGINT)
    return child.wait(_END_SECONDS)


def _at_some_moment(
    machine: Machine, name: str, chance: random.Random, *command: str
) -> tuple[subprocess.Popen[bytes], Callable[[], int]]:
    """A command that runs and has come to a moment, or has ended; and how much its Terraform had begun."""
    folder, at = folder_of(machine, name), chance.randint(1, _MOST)
    before = folder.run()
    log = machine.folder / f"{name}.log"
    child = spawn([sys.executable, "-m", "installer", *command, "--env", name], stdout=log)

    def begun() -> int:
        text = folder.events.read_text() if folder.events.exists() and folder.run() != before else ""
        return text.count('"type":"apply_start"')

    def reached() -> bool | Pending:
        seen = begun()
        return seen >= at or child.poll() is not None or Pending(f"{seen} of {at}")

    wait_until("the moment", reached, seconds=_END_SECONDS, first_delay=0.01, longest_delay=0.05)
    return child, begun


_LISTS = (
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("describe_addresses", "Addresses", "AllocationId"),
    ("describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_volumes", "Volumes", "VolumeId"),
)


def orphans(machine: Machine, name: str) -> set[str]:
    """What is there of an environment, as each service itself lists it, and neither in its state nor known
    to be taken in by the next run.

    An account of a test holds one environment, so IAM, EKS, KMS, RDS, S3 and logs are taken whole.
    """
    account, folder = machine.account, folder_of(machine, name)
    text = (folder.remote.read() if folder.remote else "") or ""
    text += json.dumps(folder.adoptions())
    ours = [{"Name": "tag:mlops-platform/env", "Values": [name]}]
    ec2, eks, kms = (account.client(service) for service in ("ec2", "eks", "kms"))
    found: set[str] = set()
    for operation, key, id_ in _LISTS:
        items = getattr(ec2, operation)(Filters=ours)[key]
        found |= {i[id_] for i in items if str(i.get("State", "")).lower() not in ("deleted", "deleting")}
    for each in kms.list_keys()["Keys"]:
        about = kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"]
        if about["KeyState"] == "Enabled" and about["KeyManager"] == "CUSTOMER":
            found.add(each["KeyId"])
    found |= set(eks.list_clusters()["clusters"])
    found |= {role["RoleName"] for role in account.client("iam").list_roles()["Roles"]}
    found |= {group["logGroupName"] for group in account.client("logs").describe_log_groups()["logGroups"]}
    buckets = {bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]}
    found |= {bucket for bucket in buckets if not bucket.startswith("mlops-platform-")}
    return {each for each in found if json.dumps(each)[1:-1] not in text}
