"""Quotas of the account: the need of an environment, the use, and the limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws import prices
from mlops_platform.clusters.aws.options import Options
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.base import Check

# Quota codes of running vCPUs, (on demand, spot), by their names in prices.yaml:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
_VCPUS = {
    "standard": ("L-1216C47A", "L-34B43A08"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
    "p": ("L-417A185B", "L-7212CCBC"),
    "p5": ("L-417A185B", "L-C4BD4855"),
}
# For a family that is not in the table: quotas are named after first letters.
_BY_LETTER = {"g": "g", "p": "p"}
_ADDRESSES = ("ec2", "L-0263D0A3")
_NETWORKS = ("vpc", "L-F678F1CE")


@dataclass(frozen=True)
class Need:
    """vCPUs of one quota: for one node of each pool, for all pools at their minimum, at their maximum."""

    code: str
    name: str
    one: int
    least: int
    most: int


def needs(options: Options) -> tuple[Need, ...]:
    """The need for every vCPU quota of the pools, without types of unknown size, which `check` reports."""
    system = options.system_pool
    pools = [(system.instance_type, False, system.min, system.max)]
    pools += [(p.instance_type, p.spot, p.min, p.max) for p in options.gpu_pools.values()]
    found: dict[str, Need] = {}
    for name, spot, least, most in pools:
        known = prices.table().types.get(name)
        if not known:
            continue
        kind = _kind(name)
        code = _VCPUS[kind][spot]
        before = found.get(code, Need(code, "", 0, 0, 0))
        found[code] = Need(
            code,
            f"vCPUs {kind.upper() if len(kind) < 3 else kind} {'spot' if spot else 'on-demand'}",
            max(before.one, known.vcpu),
            before.least + least * known.vcpu,
            before.most + most * known.vcpu,
        )
    return tuple(found.values())


def _kind(instance_type: str) -> str:
    known = prices.table().families.get(prices.family(instance_type))
    return known.quota if known else _BY_LETTER.get(instance_type[0], "standard")


def vcpus(session: Session, environment: str, need: Need) -> Check:
    """Check a vCPU quota: too few for the minimum is a failure, for the maximum a warning.

    A new account has no GPU quota, and a cluster with empty GPU pools is useful until it has one.
    """
    limit = limit_of(session, "ec2", need.code)
    used = sum(_in_use(session, environment, need.code))
    free = limit - used
    seen = f"{limit:.0f}, {used} in use by others; needed {need.least} to {need.most}"
    if free >= need.most:
        return Check(need.name, "ok", seen)
    enough, room = free >= need.least, f"room for {max(free, 0):.0f} vCPUs"
    which = "not every node" if free >= need.one else "no node"
    later = f"{room}: {which} that the maximum allows could start"
    why = later if enough else f"{room}: the first nodes could not start"
    return Check(
        need.name,
        "warning" if enough else "failure",
        seen,
        why,
        _raise("ec2", need.code, need.most + used, session),
    )


def _in_use(session: Session, environment: str, code: str) -> Iterator[int]:
    """vCPUs of that quota in running instances of others."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    with asking("ec2 describe-instances"):
        for each in session.pages("ec2", "describe_instances", "Reservations", Filters=states):
            for instance in each["Instances"]:
                spot = instance.get("InstanceLifecycle") == "spot"
                tags = {t["Key"]: t["Value"] for t in instance.get("Tags", ())}
                if (
                    _VCPUS[_kind(instance["InstanceType"])][spot] != code
                    or tags.get(ENVIRONMENT_TAG) == environment
                ):
                    continue
                cpu = instance.get("CpuOptions") or {}
                known = prices.table().types.get(instance["InstanceType"])
                yield known.vcpu if known else cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 0)


def addresses(session: Session, environment: str, wanted: int) -> Check:
    """Check the quota of Elastic IPs: every NAT gateway needs one."""
    with asking("ec2 describe-addresses"):
        found = session.client("ec2").describe_addresses()["Addresses"]
    return _counted(session, "elastic IPs", _ADDRESSES, found, environment, wanted)


def networks(session: Session, environment: str) -> Check:
    with asking("ec2 describe-vpcs"):
        found = list(session.pages("ec2", "describe_vpcs", "Vpcs"))
    return _counted(session, "VPCs", _NETWORKS, found, environment, 1)


def _counted(
    session: Session,
    name: str,
    quota: tuple[str, str],
    found: Iterable[dict[str, list[dict[str, str]]]],
    environment: str,
    wanted: int,
) -> Check:
    limit = limit_of(session, *quota)
    others = [f for f in found if {"Key": ENVIRONMENT_TAG, "Value": environment} not in f.get("Tags", [])]
    seen = f"{limit:.0f}, {len(others)} in use by others; needed {wanted}"
    if len(others) + wanted <= limit:
        return Check(name, "ok", seen)
    why = f"{len(others) + wanted - limit:.0f} too few"
    return Check(name, "failure", seen, why, _raise(*quota, len(others) + wanted, session))


def limit_of(session: Session, service: str, code: str) -> float:
    """The account's limit, or AWS's default."""
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        found = session.ask("service-quotas", operation, ServiceCode=service, QuotaCode=code)
        if found:
            return float(found["Quota"]["Value"])
    raise StepError(f"AWS knows no quota {code} of {service}", hint="check the region: a new one may lack it")


def _raise(service: str, code: str, value: float, session: Session) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value:.0f} --region {session.region}"
    )
