"""The preflight checks against the fake cloud: each passes, fails, and does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from mlops_platform.clusters.aws.checks import all_checks
from mlops_platform.clusters.aws.options import Options
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, StateBucket
from mlops_platform.clusters.base import Check

from tests.fakes.aws import REGION, Account

pytestmark = pytest.mark.integration
G_ON_DEMAND, G_SPOT, ADDRESSES, NETWORKS = "L-DB2E81BA", "L-3819A6DF", "L-0263D0A3", "L-F678F1CE"
VERSION = "1.35"


def options(**asked: Any) -> Options:
    ours = {"provider": "aws", "region": REGION, "version": VERSION, "allowed_cidrs": ["0.0.0.0/0"]}
    return Options.model_validate({**ours, **asked})


def pool(**asked: Any) -> dict[str, Any]:
    return {"gpu_pools": {"a10": {"instance_type": "g5.xlarge", "gpu_count": 1, "max": 2, **asked}}}


@pytest.fixture(autouse=True)
def sessions() -> Iterator[None]:
    """One session per region and test, because clients are slow to create."""
    _session.cache_clear()
    yield
    _session.cache_clear()


@cache
def _session(region: str) -> Session:
    return Session(region)


def lines(account: Account, **asked: Any) -> dict[str, Check]:
    session = _session(str(asked.get("region", REGION)))
    return {c.name: c for c in all_checks(session, "staging", options(**asked))}


def quota(account: Account, code: str, value: float, service: str = "ec2") -> None:
    client = account.client("service-quotas")
    client.request_service_quota_increase(ServiceCode=service, QuotaCode=code, DesiredValue=value)


def test_complete_account_passes_every_check(account: Account) -> None:
    quota(account, G_ON_DEMAND, 8)
    found = lines(account, **pool())
    assert {name: c for name, c in found.items() if c.status != "ok"} == {}
    assert found["credentials"].seen == f"account {account.id}, tester"
    assert found["vCPUs G on-demand"].seen == "8, 0 in use by others; needed 0 to 8"
    assert found["pool a10"].seen == f"g5.xlarge in {REGION}a, {REGION}b, {REGION}c"
    assert found["state bucket"].seen.endswith(f"{account.id}-{REGION}-staging: free")
    assert list(found)[:2] == ["credentials", "region"]


def test_without_credentials_one_check_fails_and_others_are_skipped(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = lines(account, **pool())
    assert found["credentials"].status == "failure" and "aws sso login" in found["credentials"].fix
    assert found.pop("credentials").seen == "none are valid"
    assert found.pop("helm and kubernetes").status == "ok"  # needs no answer of AWS
    others = {name: (c.status, c.seen) for name, c in found.items()}
    assert len(others) > 8 and set(others.values()) == {("skipped", "not asked")}


def test_network_without_nat_is_a_warning(account: Account) -> None:
    found = lines(account, nat="none")
    assert found["way out"].status == "warning" and "ecr.dkr" in found["way out"].fix
    assert "elastic IPs" not in found


def test_quota_warning_differs_for_no_node_and_for_fewer_nodes(account: Account) -> None:
    name = "vCPUs G on-demand"
    none = lines(account, **pool())[name]
    assert none.status == "warning" and "no node that the maximum allows" in none.why
    assert none.fix.startswith("aws service-quotas request-service-quota-increase")
    assert f"--quota-code {G_ON_DEMAND} --desired-value 8 --region {REGION}" in none.fix
    quota(account, G_ON_DEMAND, 4)
    fewer = lines(account, **pool())[name]
    assert fewer.status == "warning" and "not every node" in fewer.why
    assert lines(account, **pool(min=2))[name].status == "failure"
    spot = lines(account, **pool(spot=True))
    assert name not in spot and spot["vCPUs G spot"].status == "warning"
    quota(account, G_SPOT, 8)
    assert lines(account, **pool(spot=True))["vCPUs G spot"].status == "ok"


def test_quota_counts_instances_of_others_only(account: Account) -> None:
    quota(account, G_ON_DEMAND, 8)
    ec2 = account.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": ENVIRONMENT_TAG, "Value": "staging"}]}]
    more: dict[str, Any] = {"ImageId": image, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}
    ec2.run_instances(**more, TagSpecifications=tags)
    assert lines(account, **pool())["vCPUs G on-demand"].status == "ok"
    ec2.run_instances(**more)
    found = lines(account, **pool())["vCPUs G on-demand"]
    assert (found.status, found.seen) == ("warning", "8, 4 in use by others; needed 0 to 8")


def test_quotas_of_addresses_and_vpcs_are_checked(account: Account) -> None:
    for _ in range(4):
        account.client("ec2").allocate_address(Domain="vpc")
    assert lines(account, nat="one")["elastic IPs"].status == "ok"
    found = lines(account, nat="per-zone")["elastic IPs"]
    assert (found.status, found.why) == ("failure", "2 too few")
    assert "elastic IPs" not in lines(account, nat="none")
    quota(account, NETWORKS, 1, "vpc")  # the default VPC uses it
    assert lines(account)["VPCs"].status == "failure"


def test_fix_names_available_zones_and_types(account: Account) -> None:
    elsewhere = "ap-southeast-4"  # missing in the table, so AWS is asked
    found = lines(account, region=elsewhere, zones=[f"{elsewhere}{z}" for z in "abx"])
    assert found["zones"].status == "failure" and f"{elsewhere}c" in found["zones"].fix
    pools = found["pool system"]
    assert pools.status == "failure" and pools.why == f"not in {elsewhere}x"
    assert pools.fix == f"set system_pool.zones to [{elsewhere}a, {elsewhere}b]"
    some = {"zones": [f"{elsewhere}{z}" for z in "abx"], "system_pool": {"zones": [f"{elsewhere}a"]}}
    assert lines(account, region=elsewhere, **some)["pool system"].status == "ok"
    strange = lines(account, region=elsewhere, system_pool={"instance_type": "x9z.large"})["pool system"]
    assert (strange.status, strange.seen) == ("failure", "no x9z.large")


def test_zone_without_control_plane_is_named_by_its_letter(account: Account) -> None:
    found = account.client("ec2", "us-east-1").describe_availability_zones()["AvailabilityZones"]
    closed = next(zone["ZoneName"] for zone in found if zone["ZoneId"] == "use1-az3")
    asked = sorted({f"us-east-1{letter}" for letter in "abcd"} - {closed})[:2]
    said = lines(account, region="us-east-1", zones=[*asked, closed])["zones"]
    assert (said.status, said.why) == ("failure", f"EKS has no control plane in {closed}")
    assert closed not in said.fix


def test_private_api_server_is_a_warning(account: Account) -> None:
    found = lines(account, allowed_cidrs=[])["API server"]
    assert found.status == "warning" and "other_networks" in found.fix
    known = lines(account, allowed_cidrs=[], other_networks=["192.168.0.0/16"])["API server"]
    assert known.status == "warning" and "other_networks" not in known.fix


def test_gpus_of_unknown_type_are_read_from_aws(account: Account) -> None:
    wrong = {"gpu_pools": {"old": {"instance_type": "g5g.xlarge", "gpu_count": 3, "max": 1}}}
    found = lines(account, **wrong)["pool old"]
    assert (found.status, found.why) == ("failure", "it has 1 GPUs, not 3")


def test_kubernetes_version_is_checked_against_eks_and_helm(account: Account) -> None:
    for version, status, helm in (
        ("1.35", "ok", "ok"),
        ("1.32", "warning", "warning"),
        ("1.20", "failure", "warning"),
        ("1.99", "failure", "warning"),
    ):
        found = lines(account, version=version)
        assert (found["kubernetes"].status, found["helm and kubernetes"].status) == (status, helm), version
        assert status == "ok" or "1.35" in found["kubernetes"].fix


def test_existing_cluster_upgrades_one_version_at_a_time(account: Account) -> None:
    made = {"name": "mlops-staging", "version": "1.34", "roleArn": f"arn:aws:iam::{account.id}:role/eks"}
    subnets = [s["SubnetId"] for s in account.client("ec2").describe_subnets()["Subnets"]]
    account.client("eks").create_cluster(**made, resourcesVpcConfig={"subnetIds": subnets})
    assert lines(account, version="1.35")["kubernetes"].status == "ok"
    up = lines(account, version="1.36")["kubernetes"]
    assert (up.status, up.fix) == ("failure", "set cluster.version to '1.35' first")
    assert lines(account, version="1.33")["kubernetes"].why == "EKS has no downgrade"


def test_state_bucket_is_free_ours_or_of_another_owner(account: Account) -> None:
    bucket = StateBucket(Session(REGION), "staging")
    bucket.ensure({ENVIRONMENT_TAG: "staging"})
    assert lines(account)["state bucket"].seen == f"{bucket.name}: ours"
    bucket.ensure({ENVIRONMENT_TAG: "other"})
    found = lines(account)["state bucket"]
    assert found.status == "failure" and "other" in found.why


def test_check_without_answer_is_a_warning_and_others_run(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    found = lines(account)
    for name in ("vCPUs standard on-demand", "VPCs", "elastic IPs"):
        assert (found[name].status, found[name].seen) == ("warning", "no answer")
    assert found["zones"].status == found["state bucket"].status == "ok"
