"""The `cluster:` section of an environment on AWS: region, network, pools, stores, access."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import Name
from mlops_platform.clusters.aws import prices
from mlops_platform.environment.model import ClusterSpec

ZONES = 3
# Capabilities of the bucket, of RDS and of the node groups.
OBJECT_STORE, SQL, NODE_POOLS = "object-store", "sql", "node-pools"
KUBERNETES = "1.35"
# Instance families with NVIDIA GPUs; g4ad has AMD's. The same list is in terraform/aws/variables.tf.
GPU_FAMILIES = ("g4dn", "g5", "g5g", "g6", "g6e", "gr6", "p3", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en")
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
_INSTANCE = r"[a-z][a-z0-9-]*\.(metal|metal-\d+xl|nano|micro|small|medium|large|\d*xlarge)"
_LARGEST, _SMALLEST = 16, 20  # a /20 has more than a thousand pod addresses for each of three zones


def _region(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", value) or len(value) > 14:
        raise ValueError("not a region | such as eu-central-1")
    return value


def _network(value: str) -> str:
    try:
        network = IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"not a network ({error}) | such as 10.20.0.0/16") from error
    return str(network)


def _private(value: str) -> str:
    network = IPv4Network(_network(value))
    if not network.is_private:
        raise ValueError("not a private network | 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 have room")
    return value


def _vpc(value: str) -> str:
    network = IPv4Network(_private(value))
    if not _LARGEST <= network.prefixlen <= _SMALLEST:
        raise ValueError(f"too large or too small | /{_LARGEST} to /{_SMALLEST}")
    return value


def _services(value: str) -> str:
    if not 12 <= IPv4Network(_private(value)).prefixlen <= 24:
        raise ValueError("too large or too small | /12 to /24")
    return value


def _instance_type(value: str) -> str:
    if not re.fullmatch(_INSTANCE, value):
        raise ValueError("not an instance type | such as m7i.large")
    prices.find(value)
    return value


def _gpu_type(value: str) -> str:
    if _instance_type(value).split(".")[0] not in GPU_FAMILIES:
        raise ValueError(
            "an instance type without NVIDIA GPUs | such as g5.xlarge, g6.xlarge or p4d.24xlarge"
        )
    return value


def _offered(types: Mapping[tuple[str, ...], str], region: object) -> None:
    """Check that the region offers all types. Raises ValidationError with the place of each problem."""
    problems: list[InitErrorDetails] = []
    for place, name in types.items():
        try:
            prices.require_offered(name, str(region))
        except ValueError as error:
            # A ValidationError keeps the place of each problem; a ValueError has none.
            what = PydanticCustomError("value_error", "{what}", {"what": str(error)})
            problems.append(InitErrorDetails(type=what, loc=place, input=None))
    if problems:
        raise ValidationError.from_exception_data("options", problems)


def _taint(value: str) -> str:
    if not re.fullmatch(r"[\w./-]+=[\w.-]*:(NoSchedule|PreferNoSchedule|NoExecute)", value):
        raise ValueError("not a taint | such as nvidia.com/gpu=present:NoSchedule")
    return value


def _arn(value: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9_+=,.@/-]+", value):
        raise ValueError("not the ARN of a user or role | such as arn:aws:iam::111122223333:role/platform")
    return value


def _retention(value: int) -> int:
    if value not in RETENTIONS:
        raise ValueError(f"not a number of days CloudWatch keeps logs | {', '.join(map(str, RETENTIONS))}")
    return value


def _apart(value: str, info: ValidationInfo, *others: str) -> str:
    """Return the network; raise ValueError when it overlaps one of the earlier fields `names`."""
    for name in others:
        other = info.data.get(name)
        if other and IPv4Network(value).overlaps(IPv4Network(other)):
            raise ValueError(f"overlaps {name} {other} | take another range")
    return value


Network = Annotated[str, AfterValidator(_network)]
InstanceType = Annotated[str, AfterValidator(_instance_type)]
Count = Annotated[int, Field(ge=0, le=450)]  # EKS: at most 450 nodes in a managed node group
Disk = Annotated[int, Field(ge=20, le=16384, description="GiB")]


class Pool(Strict):
    """A node pool and its limits."""

    min: Count
    max: Annotated[int, Field(ge=1, le=450)]
    zones: list[str] = Field(default_factory=list, description="zones of the cluster; default: all of them")

    @model_validator(mode="after")
    def _ordered(self) -> Pool:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max} | swap them")
        return self


class SystemPool(Pool):
    """The nodes without GPUs; never empty."""

    instance_type: InstanceType = "m7i.xlarge"
    min: Annotated[int, Field(ge=1, le=450)] = 2
    max: Annotated[int, Field(ge=1, le=450)] = 6
    disk: Disk = 100


class GpuPool(Pool):
    """GPU nodes of one instance type; with `min: 0` none runs and costs until a pod needs it."""

    instance_type: Annotated[str, AfterValidator(_gpu_type)]
    gpu_count: Annotated[int, Field(ge=1, le=16, description="GPUs of one such instance")]
    min: Count = 0
    spot: bool = Field(default=False, description="cheaper; AWS may end a node with two minutes' notice")
    taint: Annotated[str, AfterValidator(_taint)] = "nvidia.com/gpu=present:NoSchedule"
    labels: dict[str, str] = Field(default_factory=dict)
    disk: Disk = 200

    @field_validator("gpu_count")
    @classmethod
    def _of_the_type(cls, value: int, info: ValidationInfo) -> int:
        known = prices.table().types.get(info.data.get("instance_type", ""))
        if known and known.gpus != value:
            name = info.data["instance_type"]
            raise ValueError(f"{name} has {known.gpus} GPUs | gpu_count: {known.gpus}")
        return value


class Options(ClusterSpec):
    """The `cluster:` section of an environment on AWS."""

    region: Annotated[str, AfterValidator(_region)]
    zones: list[str] = Field(default_factory=list, description="three; default: a, b and c of the region")
    cidr: Annotated[str, AfterValidator(_vpc)] = Field(
        default="10.0.0.0/16", description="network of the VPC"
    )
    service_cidr: Annotated[str, AfterValidator(_services)] = Field(
        default="172.20.0.0/16", validate_default=True, description="network of Kubernetes Services"
    )
    other_networks: list[Network] = Field(
        default_factory=list,
        description="networks that the VPC will be connected with; they must not overlap",
    )
    nat: Literal["one", "per-zone", "none"] = "one"
    network_policy: Literal["strict", "standard"] = Field(
        default="strict", description="strict: a pod has no traffic until a policy allows it"
    )
    system_pool: SystemPool = SystemPool()
    gpu_pools: dict[Name, GpuPool] = Field(default_factory=dict)
    object_store: Literal["in-cluster", "s3"] = "in-cluster"
    sql: Literal["in-cluster", "rds"] = "in-cluster"
    admins: list[Annotated[str, AfterValidator(_arn)]] = Field(
        default_factory=list, description="administrators of the cluster; default: its creator"
    )
    allowed_cidrs: list[Network] = Field(
        default_factory=list, description="networks outside the VPC that may reach the API server"
    )
    log_retention_days: Annotated[int, AfterValidator(_retention)] = 30
    deletion_protection: bool = False

    @classmethod
    def managed(cls, raw: Mapping[str, Any]) -> frozenset[str]:
        asked = {OBJECT_STORE: raw.get("object_store") == "s3", SQL: raw.get("sql") == "rds"}
        return frozenset({NODE_POOLS, *(word for word, there in asked.items() if there)})

    @field_validator("version")
    @classmethod
    def _minor(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"1\.[0-9]{1,3}", value):
            raise ValueError(
                f"not a version of EKS | two numbers, such as '{KUBERNETES}'; AWS picks the patch"
            )
        return value

    @field_validator("zones")
    @classmethod
    def _three_of_the_region(cls, value: list[str], info: ValidationInfo) -> list[str]:
        region = info.data.get("region", "")
        if value and (len(value) != ZONES or len(set(value)) != ZONES):
            raise ValueError(f"not {ZONES} different zones | such as {', '.join(zones_of(region))}")
        strange = [zone for zone in value if region and not re.fullmatch(rf"{region}[a-z]", zone)]
        if strange:
            raise ValueError(f"{strange[0]} is no zone of {region} | such as {region}a")
        known = prices.table().regions.get(region)
        strange = [zone for zone in value if known and zone not in known.zones]
        if known and strange:
            raise ValueError(f"{region} has no zone {strange[0]} | it has {', '.join(known.zones)}")
        return value

    @field_validator("system_pool")
    @classmethod
    def _system_offered(cls, value: SystemPool, info: ValidationInfo) -> SystemPool:
        _offered({("instance_type",): value.instance_type}, info.data.get("region"))
        return value

    @field_validator("gpu_pools")
    @classmethod
    def _gpus_offered(cls, value: dict[str, GpuPool], info: ValidationInfo) -> dict[str, GpuPool]:
        types: dict[tuple[str, ...], str] = {
            (name, "instance_type"): pool.instance_type for name, pool in value.items()
        }
        _offered(types, info.data.get("region"))
        return value

    @field_validator("system_pool", "gpu_pools")
    @classmethod
    def _in_zones_of_the_cluster(
        cls, value: SystemPool | dict[str, GpuPool], info: ValidationInfo
    ) -> SystemPool | dict[str, GpuPool]:
        there = info.data.get("zones") or zones_of(info.data.get("region", ""))
        pools = [value] if isinstance(value, SystemPool) else value.values()
        strange = [zone for pool in pools for zone in pool.zones if zone not in there]
        if strange:
            raise ValueError(f"{strange[0]} is no zone of the cluster | zones: some of {', '.join(there)}")
        return value

    @field_validator("service_cidr")
    @classmethod
    def _services_apart(cls, value: str, info: ValidationInfo) -> str:
        return _apart(value, info, "cidr")

    @field_validator("other_networks")
    @classmethod
    def _others_apart(cls, value: list[str], info: ValidationInfo) -> list[str]:
        return [_apart(network, info, "cidr", "service_cidr") for network in value]

    @property
    def pools(self) -> Mapping[str, SystemPool | GpuPool]:
        """All node pools by the name of their node group."""
        return {"system": self.system_pool, **self.gpu_pools}

    @property
    def three_zones(self) -> list[str]:
        return self.zones or zones_of(self.region)


def zones_of(region: str) -> list[str]:
    """The usual names of the first three zones; `check` asks AWS whether they exist."""
    return [f"{region}{letter}" for letter in "abc"]
