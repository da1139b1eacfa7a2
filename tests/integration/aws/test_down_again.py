"""`down` of half-created, blocked and protected environments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.base.errors import CommandFailed, Exit
from mlops_platform.clusters.aws.teardown.teardown import AwsTeardown
from mlops_platform.commands import plan, status
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment
from mlops_platform.teardown.verify import VerifyDestroyed

from tests.fakes.aws import Account
from tests.integration.aws.made import up
from tests.integration.aws.planting import TRUST, Garden
from tests.integration.aws.world import Machine, tags

pytestmark = pytest.mark.integration
SMALL = {"network_policy": "standard", "nat": "none"}
INTERFACES = "cluster.k8s.amazonaws.com/name"  # the tag of the VPC CNI


@pytest.fixture
def machine(account: Account, tmp_path: Path) -> Iterator[Machine]:
    with Machine(account, tmp_path).used() as found:
        yield found


def vpc_of(account: Account, name: str) -> str:
    ours = [{"Name": "tag:mlops-platform/env", "Values": [name]}]
    return str(account.client("ec2").describe_vpcs(Filters=ours)["Vpcs"][0]["VpcId"])


def inside(account: Account, vpc: str) -> tuple[list[str], list[str]]:
    """Interfaces and non-default security groups of a VPC."""
    ec2, here = account.client("ec2"), [{"Name": "vpc-id", "Values": [vpc]}]
    interfaces = ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    groups = ec2.describe_security_groups(Filters=here)["SecurityGroups"]
    named = [each["GroupName"] for each in groups if each["GroupName"] != "default"]
    return [each["NetworkInterfaceId"] for each in interfaces], named


def leak(account: Account, vpc: str, cluster: str) -> None:
    """Leave an interface of an ended node, and the security group that EKS could not delete therefore."""
    ec2 = account.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
    eks = {"aws:eks:cluster-name": cluster, f"kubernetes.io/cluster/{cluster}": "owned"}
    group = Garden(account, eks, "eks-cluster-sg").group(cluster, vpc)
    Garden(account, {INTERFACES: cluster}, cluster).interface(subnet)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=inside(account, vpc)[0][0], Groups=[group])


def test_down_after_failed_up_removes_everything(machine: Machine) -> None:
    machine.write("half", **SMALL)
    iam, taken = machine.account.client("iam"), "mlops-half-cluster"
    # The role of another owner: the creation of the cluster fails.
    iam.create_role(RoleName=taken, AssumeRolePolicyDocument=TRUST)
    assert up(machine, "half").code == Exit.STEP
    outputs = read_only(open_environment("half")).terraform.outputs()
    assert outputs["region"] and "endpoint" not in outputs, "the outputs have no endpoint"
    planned = machine.says("plan", "half", plan.run)
    assert planned.code == Exit.DONE, planned.data["cluster_unknown"]
    assert machine.says("status", "half", status.run).data["up"] is False

    said = machine.down("half")

    assert (said.code, said.data["left"]) == (Exit.DONE, []), said.envelope
    assert said.data["seen"] > 1 and "has no endpoint" in said.progress
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == [taken]


def test_destroy_is_repeated_after_new_blockers_are_removed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("leaky", **SMALL)
    assert up(machine, "leaky").code == Exit.DONE
    account, destroy, seen = machine.account, Terraform.destroy, []
    vpc = vpc_of(account, "leaky")

    def first_fails(self: Terraform, *asked: Any) -> None:
        """Fail the first destroy, as AWS does after 20 minutes; moto deletes subnets with their contents."""
        seen.append(inside(account, vpc))
        if len(seen) > 1:
            return destroy(self, *asked)
        eks = account.client("eks")
        for group in eks.list_nodegroups(clusterName="mlops-leaky")["nodegroups"]:
            eks.delete_nodegroup(clusterName="mlops-leaky", nodegroupName=group)
        eks.delete_cluster(name="mlops-leaky")
        leak(account, vpc, "mlops-leaky")
        raise CommandFailed("terraform destroy", returncode=1, why="DependencyViolation: subnet", command="")

    monkeypatch.setattr(Terraform, "destroy", first_fails)
    said = machine.down("leaky")

    assert (said.code, said.data["left"]) == (Exit.DONE, []), said.progress
    assert seen[0] == ([], ["eks-cluster-sg-mlops-leaky"]), "while its cluster exists, the group stays"
    assert seen[1:] == [([], [])], "both are gone before the second destroy"
    assert "DependencyViolation" in said.progress and "destroy again" in said.progress


def test_destroy_is_not_repeated_without_blockers(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.made("stuck")
    tried: list[int] = []

    def fails(self: Terraform, *asked: Any) -> None:
        tried.append(1)
        raise CommandFailed("terraform destroy", returncode=1, why="AccessDenied", command="")

    monkeypatch.setattr(Terraform, "resources", lambda self: ("aws_vpc.this",))
    monkeypatch.setattr(Terraform, "destroy", fails)
    said = machine.down("stuck")
    assert (said.code, tried) == (Exit.STEP, [1]), said.envelope
    assert said.error["why"] == "AccessDenied"


def test_security_group_of_eks_blocks_only_without_its_cluster(machine: Machine) -> None:
    made = machine.made("group")
    garden = Garden(machine.account, tags("group"), "mlops-group")
    subnet = garden.network()
    role = garden.identities()
    eks = machine.account.client("eks")
    eks.create_cluster(name="mlops-group", roleArn=role, resourcesVpcConfig={"subnetIds": [subnet]})
    assert blocking(made.teardown) == []
    eks.delete_cluster(name="mlops-group")
    leak(machine.account, garden.vpc, "mlops-group")
    assert sorted(blocking(made.teardown)) == ["network interface", "security group"]


def blocking(ending: AwsTeardown) -> list[str]:
    return [each.kind for each in ending.inventory() if each.blocks]


def test_retained_snapshot_keeps_its_key(machine: Machine) -> None:
    machine.made("kept")
    garden = Garden(machine.account, tags("kept"), "mlops-kept")
    garden.stores([garden.network(), garden.other_subnet])
    garden.rest()
    said = machine.down("kept", retain=frozenset({"snapshots"}))
    assert (said.code, said.data["left"]) == (Exit.DONE, []), said.progress
    key = machine.account.client("kms").describe_key(KeyId=garden.ids["key"][0])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    rds = machine.account.client("rds")
    assert rds.describe_db_snapshots(DBSnapshotIdentifier=garden.ids["database snapshot"][0])["DBSnapshots"]
    assert rds.describe_db_instances()["DBInstances"] == []


def test_protected_database_is_an_error_before_any_change(machine: Machine) -> None:
    made = machine.made("safe", ttl="2020-01-01T00:00:00+00:00")
    garden = Garden(machine.account, tags("safe"), "mlops-safe")
    garden.stores([garden.network(), garden.other_subnet], protected=True)
    database = garden.ids["database"][0]
    for force, sweep_only in ((False, False), (True, False), (True, True)):
        said = machine.down("safe", force=force, sweep_only=sweep_only)
        assert said.code == Exit.PREFLIGHT and database in said.error["why"]
        assert "deletion_protection: false" in said.error["hint"]
    assert machine.reap().code == Exit.PREFLIGHT
    assert made.bucket.exists() and not list((machine.folder / "home" / "safe").glob("runs/*"))
    assert machine.account.client("ec2").describe_vpcs(VpcIds=[garden.vpc])["Vpcs"]
    rds = machine.account.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier=database, DeletionProtection=False, ApplyImmediately=True)
    assert machine.down("safe").code == Exit.DONE


def test_protected_bucket_with_objects_is_an_error_before_any_change(machine: Machine) -> None:
    made = machine.made("full")
    garden = Garden(machine.account, tags("full"), "mlops-full")
    garden.stores([garden.network(), garden.other_subnet])
    bucket = garden.ids["bucket"][0]
    instance = {"attributes": {"id": bucket, "force_destroy": False}}
    managed = {"mode": "managed", "type": "aws_s3_bucket", "name": "this", "instances": [instance]}
    made.remote.write(json.dumps({"version": 4, "serial": 1, "lineage": "x", "resources": [managed]}))
    said = machine.down("full", force=True)
    assert said.code == Exit.PREFLIGHT and bucket in said.error["why"], said.envelope
    assert garden.ids["database"][0] not in said.error["why"]


@pytest.mark.soak
def test_protected_bucket_is_an_error_until_up_removes_the_protection(machine: Machine) -> None:
    s3 = machine.account.client("s3")
    machine.write("full", "postgres", object_store="s3", deletion_protection=True, **SMALL)
    assert up(machine, "full").code == Exit.DONE
    bucket = f"mlops-full-artifacts-{machine.account.id}"
    s3.put_object(Bucket=bucket, Key="mlflow/model", Body=b"kept")
    machine.write(
        "full", "postgres", object_store="s3", deletion_protection=False, **SMALL
    )  # and no `up` since

    said = machine.down("full", force=True)

    assert said.code == Exit.PREFLIGHT and bucket in said.error["why"], said.envelope
    assert machine.account.client("eks").list_clusters()["clusters"] == ["mlops-full"]
    assert up(machine, "full").code == Exit.DONE
    said = machine.down("full")
    assert (said.code, said.data["left"]) == (Exit.DONE, []), said.progress


def test_log_group_recreated_after_the_verification_is_deleted(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.made("late")
    logs, name, verify = machine.account.client("logs"), "/aws/eks/mlops-late/cluster", VerifyDestroyed.run

    def then_eks_writes(self: VerifyDestroyed, progress: Any) -> None:
        verify(self, progress)
        logs.create_log_group(logGroupName=name)

    monkeypatch.setattr(VerifyDestroyed, "run", then_eks_writes)
    said = machine.down("late")
    assert said.code == Exit.DONE, said.envelope
    assert logs.describe_log_groups()["logGroups"] == []
    assert f"delete-log-group --region {machine.account.region} --log-group-name {name}" in said.progress
