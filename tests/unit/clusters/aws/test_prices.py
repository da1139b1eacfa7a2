"""The price table: complete for shipped environments, equal to EC2's types, unknown is not 0."""

from __future__ import annotations

import gzip
import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mlops_platform import clusters
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.aws import prices
from mlops_platform.clusters.aws.cost import AwsCost
from mlops_platform.clusters.aws.options import Options
from mlops_platform.clusters.aws.prices import Pool, bill, table
from mlops_platform.clusters.bill import Span
from mlops_platform.environment import file as environment
from mlops_platform.run.open import shipped_environments

HOURS = 730
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
# Offered, but without a reliable price.
WITHOUT_PRICE = {
    "eu-central-1": {"g6e", "p4d"},
    "eu-west-1": {"p4d"},
}


@cache
def of_ec2(name: str) -> Any:
    """Read answers of the AWS API from the data of the fake cloud."""
    spec = importlib.util.find_spec("moto")
    assert spec and spec.origin
    with gzip.open(Path(spec.origin).parent / "ec2/resources" / name, "rt") as file:
        return json.load(file)


def shipped() -> list[tuple[str, Options]]:
    catalog = read_catalog(Paths.default().assets / "helm-values")
    found = []
    for file in sorted(shipped_environments().glob("*.yaml")):
        loaded = environment.read(file, catalog, clusters.options_models()).environment
        if isinstance(loaded.cluster, Options):
            found.append((loaded.name, loaded.cluster))
    return found


def test_shipped_environments_have_complete_prices() -> None:
    environments = shipped()
    assert {"staging", "prod", "ephemeral"} <= {name for name, _ in environments}
    for name, options in environments:
        assert AwsCost(options).bill(100).unknown == (), name


def test_common_regions_have_prices() -> None:
    assert set(REGIONS) <= set(table().regions)
    assert table().date.isoformat() >= "2026-11-24" and table().sources and table().excludes


def test_sizes_match_ec2() -> None:
    for name, ours in table().types.items():
        theirs = of_ec2("instance_types.json.gz")[name]
        gpus = theirs.get("GpuInfo", {}).get("Gpus", [])
        assert ours.vcpu == theirs["VCpuInfo"]["DefaultVCpus"], name
        assert ours.memory == theirs["MemoryInfo"]["SizeInMiB"] / 1024, name
        assert (ours.gpus, ours.gpu) == (sum(g["Count"] for g in gpus), gpus[0]["Name"] if gpus else ""), name
        assert ours.local_disk == theirs.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0), name


def test_families_have_all_sizes() -> None:
    """An unknown size is an error."""
    theirs = {n for n in of_ec2("instance_types.json.gz") if prices.family(n) in table().families}
    assert theirs == set(table().types)


@pytest.mark.parametrize("region", REGIONS)
def test_offered_types_have_prices_with_known_exceptions(region: str) -> None:
    here = table().regions[region]
    offers = of_ec2(f"instance_type_offerings/region/{region}.json.gz")
    offered = {o["InstanceType"] for o in offers}
    zones = of_ec2(f"instance_type_offerings/availability-zone/{region}.json.gz")
    assert {z["Location"] for z in zones} == set(here.zones)
    for name in table().types:
        family = prices.family(name)
        assert (name in offered) == (family not in here.not_offered), name
        priced = family not in here.not_offered | WITHOUT_PRICE.get(region, set()) and "metal" not in name
        assert (name in here.instances) == priced, name


@pytest.mark.parametrize("region", REGIONS)
def test_larger_type_costs_more(region: str) -> None:
    """A typing error in one price would break the order."""
    here = table().regions[region].instances
    for family in table().families:
        by_price = sorted((price, name) for name, price in here.items() if prices.family(name) == family)
        assert all(price > 0 for price, _ in by_price)
        for (less, one), (more, other) in pairwise(by_price):
            small, large = table().types[one], table().types[other]
            ratio = (more / less) / max(large.vcpu / small.vcpu, large.memory / small.memory, 0.5)
            assert 0.3 <= ratio <= 2.5, (family, less, more)


def test_bill_is_the_sum_of_its_lines() -> None:
    found = bill(
        "eu-central-1",
        [Pool("system pool", "m7i.xlarge", 2, 6, 100), Pool("pool a10", "g5.xlarge", 0, 4, 200, True)],
        nats=3,
        keys=2,
        volumes=60,
        database="db.t4g.medium",
        database_storage=20,
    )
    lines = {c.what: c for c in found.charges}
    disk = 0.0952 / HOURS
    system = Span(pytest.approx(2 * (0.2415 + 100 * disk)), pytest.approx(6 * (0.2415 + 100 * disk)))  # type: ignore[arg-type]
    assert lines["control plane"].paid == Span(0.10, 0.10)
    assert lines["system pool"].paid == system
    gpu = lines["pool a10"]
    assert gpu.on_demand and gpu.spot and gpu.paid is gpu.spot and gpu.spot.least == 0
    assert gpu.on_demand.most == pytest.approx(4 * (1.258 + 200 * disk))
    assert gpu.spot.most == pytest.approx(4 * (1.258 * 0.45 + 200 * disk))  # disks have no spot price
    assert lines["NAT"].paid and lines["NAT"].paid.least == pytest.approx(3 * (0.052 + 0.005))
    assert lines["key"].paid and lines["key"].paid.least == pytest.approx(2 / HOURS)
    assert lines["database"].paid and lines["database"].paid.least == pytest.approx(
        0.076 + 20 * 0.137 / HOURS
    )
    assert lines["volumes"].paid and lines["volumes"].paid.least == pytest.approx(60 * disk)
    assert found.paid.most == pytest.approx(sum(c.paid.most for c in found.charges if c.paid))
    assert found.unknown == () and found.dated == table().date.isoformat()


@pytest.mark.parametrize(
    ("region", "instance_type"),
    [("eu-central-1", "x9z.large"), ("eu-central-1", "p4d.24xlarge"), ("mars-north-1", "g5.xlarge")],
)
def test_missing_price_is_unknown_and_not_zero(region: str, instance_type: str) -> None:
    found = bill(region, [Pool("pool x", instance_type, 1, 2, 100)], nats=1)
    charge = next(c for c in found.charges if c.what == "pool x")
    assert charge.on_demand is charge.spot is charge.paid is None
    assert any(line.startswith("pool x") for line in found.unknown)
    assert region in table().regions or len(found.unknown) == len(found.charges)


def test_database_without_price_is_unknown() -> None:
    found = bill("eu-central-1", [], database="db.z9.large", database_storage=20)
    assert found.unknown == ("database (db.z9.large, 20 GiB)",)


def test_unknown_size_is_an_error_and_unknown_family_is_not() -> None:
    with pytest.raises(ValueError, match=r"did you mean g5\.xlarge"):
        prices.find("g5.xlage")
    assert prices.find("g9.xlarge") is None
    known = prices.find("g5.12xlarge")
    assert known and (known.gpus, known.gpu) == (4, "A10G")


def test_error_of_missing_type_names_regions_that_have_it() -> None:
    with pytest.raises(ValueError, match="us-east-1, us-west-2 have it"):
        prices.require_offered("p5.48xlarge", "eu-central-1")
    prices.require_offered("p5.48xlarge", "us-east-1")
    prices.require_offered("p5.48xlarge", "ap-south-2")  # not in the table
