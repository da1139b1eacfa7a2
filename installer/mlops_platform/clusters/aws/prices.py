"""prices.yaml: instance types, the regions that offer them, and prices."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import ConfigDict, Field

from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.yaml import Strict, load
from mlops_platform.clusters.bill import Bill, Charge, Span

FILE = Path(__file__).with_name("prices.yaml")


class _Row(Strict):
    model_config = ConfigDict(strict=False)  # accept an integer as a price, and a list as a tuple


class InstanceType(_Row):
    """An instance type: `memory` in GiB; `local_disk` in GB, lost with the node."""

    vcpu: int
    memory: float
    gpus: int = 0
    gpu: str = ""
    local_disk: int = 0


class Family(_Row):
    """A family: `quota` is the name of its vCPU quotas; `spot` the price of spot as a share of on-demand."""

    quota: str
    spot: float = Field(gt=0, lt=1)


class Region(_Row):
    """Prices in one region, in the units of the comments in prices.yaml."""

    zones: tuple[str, ...]
    control_plane: float
    nat: float
    address: float
    key: float
    block_storage: float
    object_storage: float
    database_storage: float
    databases: Mapping[str, float]
    not_offered: frozenset[str]
    instances: Mapping[str, float]


class Table(_Row):
    """The contents of prices.yaml."""

    date: date
    hours_per_month: int
    sources: tuple[str, ...]
    excludes: str
    families: Mapping[str, Family]
    types: Mapping[str, InstanceType]
    regions: Mapping[str, Region]


@dataclass(frozen=True)
class Pool:
    """A node pool of an environment; `disk` in GiB."""

    what: str
    instance_type: str
    least: int
    most: int
    disk: int
    spot: bool = False


@lru_cache(maxsize=1)
def table() -> Table:
    document = load(FILE)
    if document.problems:
        raise ConfigurationError(document.problems)
    return Table.model_validate(document.data)


def family(instance_type: str) -> str:
    return instance_type.partition(".")[0]


def find(instance_type: str) -> InstanceType | None:
    """The instance type; None for a family that the table lacks: ask AWS.

    Raises ValueError for a size that a known family does not have.
    """
    prices = table()
    if instance_type in prices.types or family(instance_type) not in prices.families:
        return prices.types.get(instance_type)
    sizes = [name for name in prices.types if family(name) == family(instance_type)]
    close = difflib.get_close_matches(instance_type, sizes, 1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sizes)}"
    raise ValueError(f"no such instance type | {hint}")


def require_offered(instance_type: str, region: str) -> None:
    """Raise ValueError for a type that the region does not offer, according to the table."""
    regions = table().regions
    if region in regions and family(instance_type) in regions[region].not_offered:
        others = [n for n, r in regions.items() if family(instance_type) not in r.not_offered]
        raise ValueError(
            f"{region} does not offer {instance_type} (table of {table().date}) | {', '.join(others)} have it"
        )


def bill(
    region: str,
    pools: Iterable[Pool],
    *,
    nats: int = 0,
    keys: int = 0,
    volumes: float = 0,
    database: str = "",
    database_storage: int = 0,
    database_copies: int = 1,
) -> Bill:
    """The price of all parts in a region. `volumes` and `database_storage` in GiB. Sends no request.

    `database_copies` is 2 for a database with a standby in a second zone, which doubles the price.
    """
    prices = table()
    here = prices.regions.get(region)
    hours = prices.hours_per_month

    def flat(what: str, detail: str, hourly: Callable[[Region], float | None]) -> Charge:
        rate = hourly(here) if here else None
        return Charge(what, detail, None if rate is None else Span(rate, rate))

    def with_storage(region: Region) -> float | None:
        rate = region.databases.get(database)
        storage = database_storage * region.database_storage / hours
        return None if rate is None else database_copies * (rate + storage)

    charges = [flat("control plane", "EKS", lambda r: r.control_plane)]
    charges += [_nodes(pool, here, prices) for pool in pools]
    if nats:
        charges.append(flat("NAT", f"{nats} with an address each", lambda r: nats * (r.nat + r.address)))
    if keys:
        charges.append(flat("key", "KMS", lambda r: keys * r.key / hours))
    if database:
        detail = f"{database}, {database_storage} GiB" + ", in two zones" * (database_copies > 1)
        charges.append(flat("database", detail, with_storage))
    if volumes:
        charges.append(flat("volumes", f"{volumes:g} GiB gp3", lambda r: volumes * r.block_storage / hours))
    return Bill(tuple(charges), prices.date.isoformat(), prices.excludes, hours)


def _nodes(pool: Pool, here: Region | None, prices: Table) -> Charge:
    """The charges of a pool and of its disks; disks have no spot price."""
    known = prices.types.get(pool.instance_type)
    gpus = f", {known.gpus} {known.gpu}" if known and known.gpus else ""
    count = f"{pool.least}" if pool.least == pool.most else f"{pool.least} to {pool.most}"
    detail = f"{count} × {pool.instance_type}{gpus}"
    rate = here.instances.get(pool.instance_type) if here else None
    if here is None or rate is None:
        return Charge(pool.what, detail, None, None, pool.spot)
    disk = pool.disk * here.block_storage / prices.hours_per_month
    share = prices.families[family(pool.instance_type)].spot

    def at(hourly: float) -> Span:
        return Span(pool.least * (hourly + disk), pool.most * (hourly + disk))

    return Charge(pool.what, detail, at(rate), at(rate * share), pool.spot)
