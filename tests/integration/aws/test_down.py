"""`down` on the fake cloud: every object of ours is deleted, none of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Exit
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import session_of
from mlops_platform.clusters.aws.teardown.inventory import Found, look
from mlops_platform.clusters.aws.teardown.sweep import Sweeper
from mlops_platform.clusters.aws.teardown.sweeps import KINDS

from tests.fakes.aws import Account, Cloud
from tests.integration.aws.conftest import logged_in
from tests.integration.aws.planting import Garden
from tests.integration.aws.world import RUN, Machine, tags

pytestmark = pytest.mark.integration


@pytest.fixture
def machine(account: Account, tmp_path: Path) -> Iterator[Machine]:
    with Machine(account, tmp_path).used() as found:
        yield found


def everything_in(account: Account, name: str) -> list[tuple[str, str, str]]:
    """Objects with an environment's tag, by an inventory without a record."""
    found = look(session_of(account.region), Ownership(name, f"mlops-{name}"))
    return sorted((each.kind, each.resource.id, str(sorted(each.resource.tags.items()))) for each in found)


def ids(found: tuple[Found, ...]) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for each in found:
        kinds.setdefault(each.kind, set()).add(each.resource.id)
    return kinds


def untouched(garden: Garden) -> None:
    """True: every planted object without our tags still exists, by its service."""
    session = session_of(garden.account.region)
    for kind in KINDS:
        for id in garden.ids.get(kind.name, ()):
            assert kind.exists(session, id) if kind.exists else garden_knows(garden, kind.name, id), id


def garden_knows(garden: Garden, kind: str, id: str) -> bool:
    """A call for each kind outside EC2 that fails when the object is gone."""
    client = garden.client
    calls: dict[str, Callable[[], object]] = {
        "classic load balancer": lambda: client("elb").describe_load_balancers(LoadBalancerNames=[id]),
        "load balancer": lambda: client("elbv2").describe_load_balancers(LoadBalancerArns=[id]),
        "target group": lambda: client("elbv2").describe_target_groups(TargetGroupArns=[id]),
        "listener": lambda: client("elbv2").describe_listeners(ListenerArns=[id]),
        "cluster": lambda: client("eks").describe_cluster(name=id),
        "node group": lambda: client("eks").describe_nodegroup(
            clusterName=id.partition(":")[0], nodegroupName=id.partition(":")[2]
        ),
        "scaling group": lambda: client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[id]
        )["AutoScalingGroups"][0],
        "iam role": lambda: client("iam").get_role(RoleName=id),
        "iam policy": lambda: client("iam").get_policy(PolicyArn=id),
        "instance profile": lambda: client("iam").get_instance_profile(InstanceProfileName=id),
        "oidc provider": lambda: client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=id),
        "bucket": lambda: client("s3").head_bucket(Bucket=id),
        "database": lambda: client("rds").describe_db_instances(DBInstanceIdentifier=id),
        "database snapshot": lambda: client("rds").describe_db_snapshots(DBSnapshotIdentifier=id),
        "database subnet group": lambda: client("rds").describe_db_subnet_groups(DBSubnetGroupName=id),
        "image repository": lambda: client("ecr").describe_repositories(repositoryNames=[id]),
        "log group": lambda: client("logs").describe_log_groups(logGroupNamePrefix=id)["logGroups"][0],
        "key": lambda: {"Enabled": True}[client("kms").describe_key(KeyId=id)["KeyMetadata"]["KeyState"]],
        "key alias": lambda: client("kms").describe_key(KeyId=id),
    }
    return bool(calls[kind]())


def test_every_kind_is_found_and_deleted_by_tag(machine: Machine) -> None:
    made = machine.made("all")
    ours = Garden(machine.account, tags("all"), "mlops-all-x")
    theirs = Garden(
        machine.account, {}, "mlops-all-y"
    )  # has the same name prefix as ours: names are no evidence
    ours.everything()
    theirs.everything()
    found = ids(look(made.session, made.teardown.ownership))
    assert found == {kind: set(of_kind) for kind, of_kind in ours.ids.items()}
    assert set(found) == {kind.name for kind in KINDS}

    said = machine.down("all")

    assert (said.code, said.data["left"]) == (Exit.DONE, []), said.progress
    assert said.data["seen"] == sum(map(len, ours.ids.values())) + 1  # and the state bucket
    kept = {(each["kind"], each["id"]) for each in said.data["stays"]}
    assert ("key", ours.ids["key"][0]) in kept  # KMS deletes it later: no leftover
    for kind, of_kind in ours.ids.items():
        assert all(f"{kind} {id}" in said.progress for id in of_kind), kind  # noted at deletion
    assert [kind for kind, _, _ in everything_in(machine.account, "all")] == ["key"]
    assert not made.bucket.exists()
    untouched(theirs)


def test_second_environment_in_the_account_stays(machine: Machine) -> None:
    for name in ("one", "one-too"):  # one name is a prefix of the other
        machine.made(name)
        garden = Garden(machine.account, tags(name), f"mlops-{name}-x")
        subnet = garden.network()
        garden.disks()
        garden.interface(subnet)
        garden.cycle(garden.vpc)
        garden.identities()
        garden.rest()
    before = everything_in(machine.account, "one-too")
    assert machine.down("one").code == Exit.DONE
    assert everything_in(machine.account, "one-too") == before
    assert [k for k, _, _ in everything_in(machine.account, "one")] == ["key"]


def test_security_groups_in_a_cycle_go_and_group_referenced_by_others_stays(
    machine: Machine,
) -> None:
    made = machine.made("groups")
    garden = Garden(machine.account, tags("groups"), "mlops-groups-x")
    vpc = garden.client("ec2").create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    one, two = garden.cycle(vpc)
    named, foreign = garden.group("named", vpc), garden.group("foreign", vpc, {})
    garden.names(foreign, named)
    found = look(made.session, made.teardown.ownership)
    sweeper = Sweeper(made.session, made.teardown.ownership, Silent(), Cancel(), patience=0.003)
    sweeper.sweep({(each.kind, each.resource.id) for each in found})
    left = made.teardown.with_reasons(
        [each for each in made.teardown.inventory() if each.kind == "security group"]
    )
    assert [each.id for each in left] == [named]
    assert f"referenced by {foreign} (not ours)" in left[0].detail
    rules = garden.client("ec2").describe_security_groups(GroupIds=[foreign])["SecurityGroups"][0]
    assert rules["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == named
    assert {one, two}.isdisjoint({each.id for each in left})


def test_objects_without_a_record_are_listed_and_stay(machine: Machine) -> None:
    machine.made("unknown")
    other = Garden(machine.account, tags("unknown", run="2020-01-01T00-00-00Z"), "mlops-unknown-x")
    other.disks()
    queue = machine.account.client("sqs").create_queue(QueueName="unknown", tags=tags("unknown"))
    said = machine.down("unknown", force=True)  # --force deletes no leftover either
    assert said.code == Exit.LEFTOVERS
    volume = other.ids["ebs volume"][0]
    kinds = {kind for kind, _ in said.left}
    assert ("ebs volume", volume) in said.left
    assert any(kind.startswith("sqs") for kind in kinds), kinds
    assert "no record" in str(said.data["left"])
    assert other.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"]
    assert machine.account.client("sqs").get_queue_attributes(QueueUrl=queue["QueueUrl"])
    # The record stays while something is left.
    other.client("ec2").delete_volume(VolumeId=volume)
    other.client("ec2").delete_snapshot(SnapshotId=other.ids["ebs snapshot"][0])
    machine.account.client("sqs").delete_queue(QueueUrl=queue["QueueUrl"])
    assert machine.down("unknown", sweep_only=True).code == Exit.DONE


def test_objects_of_controllers_are_ours_by_cluster_name(machine: Machine) -> None:
    """Also a log group that EKS recreated without a tag after Terraform deleted it."""
    machine.made("made-by")
    by_driver = {"kubernetes.io/cluster/mlops-made-by": "owned", "ebs.csi.aws.com/cluster": "true"}
    shared = {"kubernetes.io/cluster/mlops-made-by": "shared"}
    balanced = {"elbv2.k8s.aws/cluster": "mlops-made-by"}
    ours = Garden(machine.account, by_driver, "driver")
    ours.disks()
    others = Garden(machine.account, shared, "shared")
    others.disks()
    garden = Garden(machine.account, balanced, "balanced")
    vpc = garden.client("ec2").create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    group = garden.group("lb", vpc)
    logs = machine.account.client("logs")
    for name in ("/aws/eks/mlops-made-by/cluster", "/aws/eks/mlops-made-by-not/cluster"):
        logs.create_log_group(logGroupName=name)
    assert machine.down("made-by").code == Exit.DONE
    left = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    assert left == ["/aws/eks/mlops-made-by-not/cluster"]
    ec2 = machine.account.client("ec2")
    volumes = {each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]}
    assert set(others.ids["ebs volume"]) <= volumes
    assert volumes.isdisjoint(ours.ids["ebs volume"])
    assert group not in {each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]}


def test_data_needs_allow_data_loss_and_can_be_retained(machine: Machine) -> None:
    machine.made("data")
    garden = Garden(machine.account, tags("data"), "mlops-data-x")
    subnet = garden.network()
    garden.stores([subnet, garden.other_subnet])
    garden.disks()
    rejected = machine.down("data", allow_data_loss=False)
    assert rejected.code == Exit.USAGE
    bucket, database = garden.ids["bucket"][0], garden.ids["database"][0]
    assert bucket in rejected.error["why"] and database in rejected.error["why"]
    assert garden.client("s3").head_bucket(Bucket=bucket)
    unknown = machine.down("data", retain=frozenset({"everything"}))
    assert unknown.code == Exit.USAGE

    said = machine.down("data", retain=frozenset({"buckets", "volumes"}))

    assert said.code == Exit.DONE, said.progress
    kept = {(each["kind"], each["id"]) for each in said.data["stays"]}
    assert kept >= {("bucket", bucket), ("ebs volume", garden.ids["ebs volume"][0])}
    assert garden.client("s3").list_object_versions(Bucket=bucket)["Versions"]
    # They are no leftovers later either: their tag marks them as kept.
    machine.made("data")
    again = machine.down("data")
    assert (again.code, again.data["left"]) == (Exit.DONE, [])
    assert garden.client("s3").head_bucket(Bucket=bucket)


def test_another_account_or_region_is_an_error_before_any_change(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with logged_in(cloud.account(), tmp_path_factory) as first:
        machine = Machine(first, tmp_path_factory.mktemp("machine"))
        with machine.used():
            made = machine.made("mine")
            garden = Garden(first, tags("mine"), "mlops-mine-x")
            garden.disks()
            with logged_in(cloud.account(), tmp_path_factory) as second:
                theirs = Garden(second, tags("mine"), "mlops-mine-x")
                theirs.disks()
                said = machine.down("mine")
                assert said.code == Exit.PREFLIGHT
                assert first.id in said.error["what"] and second.id in said.error["why"]
                assert theirs.client("ec2").describe_volumes(VolumeIds=theirs.ids["ebs volume"])["Volumes"]
                assert not list((machine.folder / "home" / "mine").glob("runs/*"))
            machine.write("mine", region="eu-west-1")
            said = machine.down("mine")
            assert said.code == Exit.PREFLIGHT
            assert "eu-central-1" in said.error["what"] and "eu-west-1" in said.error["why"]
            assert garden.client("ec2").describe_volumes(VolumeIds=garden.ids["ebs volume"])["Volumes"]
            machine.write("mine")
            assert made.bucket.exists()
            assert machine.down("mine").code == Exit.DONE


def test_down_works_from_another_machine_without_environment_file(machine: Machine, tmp_path: Path) -> None:
    made = machine.made("moved")
    Garden(machine.account, tags("moved"), "mlops-moved-x").disks()
    elsewhere = replace(machine, folder=tmp_path / "other")
    with elsewhere.used():
        assert elsewhere.down("moved").code == Exit.USAGE  # unknown here
        assert elsewhere.down("moved", region=machine.account.region).code == Exit.DONE
    assert not made.bucket.exists()
    assert everything_in(machine.account, "moved") == []
    # The local record still exists here, but the environment is gone.
    said = machine.down("moved")
    assert (said.code, said.data["left"]) == (Exit.DONE, [])
    assert machine.down("never-was").code == Exit.USAGE


def test_reap_takes_down_only_expired_environments(machine: Machine) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    machine.made("old", ttl=past)
    machine.made("young", ttl="4h")
    machine.made("forever")
    gardens = {}
    for name in ("old", "young", "forever"):
        gardens[name] = Garden(machine.account, tags(name), f"mlops-{name}-x")
        gardens[name].disks()
    rows = {row["name"]: row for row in machine.remotes().data["environments"]}
    assert set(rows) == {"old", "young", "forever"}
    assert rows["old"]["expires"] == past and rows["forever"]["expires"] == ""
    assert rows["young"]["made"] and rows["young"]["hourly"] > 0 and rows["young"]["owner"] == "tester"
    before = {name: everything_in(machine.account, name) for name in ("young", "forever")}

    assert machine.reap(dry_run=True).data["expired"] == ["old"]
    assert everything_in(machine.account, "old")
    said = machine.reap()

    assert (said.code, said.data["reaped"]) == (Exit.DONE, ["old"]), said.progress
    assert everything_in(machine.account, "old") == []
    assert {name: everything_in(machine.account, name) for name in before} == before
    assert machine.reap().data == {"expired": [], "left_alone": 2, "reaped": []}


def test_reap_ignores_expired_tag_without_record(machine: Machine) -> None:
    past = "2020-01-01T00:00:00+00:00"
    stray = Garden(machine.account, {**tags("stray"), "mlops-platform/expires-at": past}, "stray")
    stray.disks()
    row = machine.remotes().data["environments"][0]
    assert (row["name"], row["made"], row["objects"]) == ("stray", "", 2)
    assert machine.reap().data["reaped"] == []
    assert len(everything_in(machine.account, "stray")) == 2


def test_reap_keeps_extended_environment(machine: Machine) -> None:
    """The bucket's tag and the record may differ after a kill: the later time counts."""
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    made = machine.made("longer", ttl=past)
    record = made.bucket.record()
    assert record
    made.bucket.write_record(replace(record, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()))
    assert machine.reap().data["expired"] == []
    assert record.run == RUN
