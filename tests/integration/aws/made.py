"""Helpers that create a cluster in the fake cloud with the command line, and kill or interrupt it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.process import spawn
from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.terraform.runner import recorded_process, session
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Silent
from mlops_platform.commands import up as command
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment

from tests.integration.aws.world import Machine, Said

# The fake cloud has no API server, so no network policies can be applied.
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
_ANY_MOMENT = (-0.1, 1.1)  # a moment of a command, as a share of its Terraform's planned changes
_END_SECONDS = 300


def up(machine: Machine, name: str) -> Said:
    """Run `up --only cluster --yes`."""
    return machine.says(
        "up",
        name,
        lambda console: command.run(console, yes=True, allow_data_loss=False, parallel=4, only="cluster"),
    )


def recover(name: str) -> None:
    """Run only the recovery, which the next run starts with."""
    read_only(open_environment(name)).terraform.recover(Silent())


def folder_of(machine: Machine, name: str) -> Folder:
    """The Terraform folder of an environment on this machine."""
    opened = open_environment(name)
    work = read_only(opened)
    return Folder(work.cluster.root, opened.state / "terraform", work.cluster.remote)


@dataclass(frozen=True)
class Stopped:
    """The exit code of a stopped command, and the objects its Terraform had started and finished."""

    code: int
    started: int
    ended: int


def killed(machine: Machine, name: str, chance: random.Random, *command: str) -> Stopped:
    """Run a command, and kill it and all its processes at a random moment."""

    def stop(child: subprocess.Popen[bytes]) -> None:
        running = recorded_process(folder_of(machine, name))
        child.kill()
        for each in (running, *session(running)) if running else ():
            each.kill(signal.SIGKILL)

    return _stopped(machine, name, chance.uniform(*_ANY_MOMENT), stop, *command)


def interrupted(machine: Machine, name: str, chance: random.Random, *command: str) -> Stopped:
    """Run a command, and send one SIGINT at a random moment."""
    return _stopped(
        machine, name, chance.uniform(*_ANY_MOMENT), lambda child: child.send_signal(signal.SIGINT), *command
    )


def _stopped(
    machine: Machine,
    name: str,
    share: float,
    stop: Callable[[subprocess.Popen[bytes]], None],
    *command: str,
) -> Stopped:
    """Stop a command once its Terraform has started that share of its planned changes.

    Below 0: as soon as the journal exists. Above 1: after the end of Terraform.
    """
    folder = folder_of(machine, name)
    runs = machine.folder / "home" / name / "runs"
    terraform, journals = folder.run(), len(list(runs.glob("*")))
    log = machine.folder / f"{name}.log"
    child = spawn([sys.executable, "-m", "mlops_platform.cli", *command, "--env", name], stdout=log)

    def reached() -> bool | Pending:
        if child.poll() is not None:
            return True
        if share < 0:
            return len(list(runs.glob("*"))) > journals or Pending("no journal")
        events = _Events(folder) if folder.run() != terraform else None
        if events is None or events.planned is None:
            return Pending("nothing planned")
        done = events.over if share > 1 else events.started >= share * events.planned
        return done or Pending(f"{events.started} of {events.planned}, {share:.0%} wanted")

    wait_until("the moment", reached, seconds=_END_SECONDS, first_delay=0.01, longest_delay=0.05)
    stop(child)
    code = child.wait(_END_SECONDS)
    events = _Events(folder) if folder.run() != terraform else None
    stopped = Stopped(code, events.started if events else 0, events.ended if events else 0)
    print(f"{command[0]} at {share:.0%}: {stopped}")
    return stopped


class _Events:
    """The current content of Terraform's event file; `planned` is None before the plan."""

    def __init__(self, folder: Folder) -> None:
        self.started = self.ended = 0
        self.planned: int | None = None
        self.over = False
        text = folder.events.read_text() if folder.events.exists() else ""
        for line in text.splitlines(keepends=True):
            event = json.loads(line) if line.startswith("{") and line.endswith("\n") else {}
            made = event.get("hook", {}).get("action") not in ("read", "noop")
            self.started += event.get("type") == "apply_start" and made
            self.ended += event.get("type") == "apply_complete" and made
            if event.get("type") == "change_summary":
                changes = event["changes"]
                self.planned = self.planned or sum(changes[key] for key in ("add", "change", "remove"))
                self.over = changes["operation"] != "plan"


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
    """The environment's objects, as listed by each service, that are neither in the state nor to be imported.

    A test's account has one environment, so all objects of IAM, EKS, KMS, S3 and logs are its own.
    """
    account, folder = machine.account, folder_of(machine, name)
    text = (folder.remote.read() if folder.remote else "") or ""
    text += json.dumps(folder.imports())
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
