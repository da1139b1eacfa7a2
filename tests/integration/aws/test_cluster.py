"""The cluster layer with the real Terraform and its real provider: create, no-op, recovery, destroy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters import process
from mlops_platform.adapters.terraform import find_binary
from mlops_platform.adapters.terraform.runner import Runner
from mlops_platform.adapters.terraform.state import State, parse
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.aws.cluster import AwsCluster
from mlops_platform.clusters.aws.remote_state import RemoteState
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import StateBucket
from mlops_platform.commands import plan
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment

from tests.fakes.aws import Account
from tests.integration.aws.made import OPTIONS, folder_of, up
from tests.integration.aws.planting import Garden
from tests.integration.aws.world import Machine

pytestmark = pytest.mark.integration


def asked(account: Account) -> dict[str, Any]:
    """Options whose admins include the creator, for whom EKS makes an access entry itself."""
    admins = [*OPTIONS["admins"], f"arn:aws:iam::{account.id}:user/tester"]
    return {**OPTIONS, "admins": admins, "other_networks": ["192.168.0.0/16"]}


@pytest.fixture(scope="module")
def machine(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the environment `staging` and its cluster."""
    with Machine(shared_account, tmp_path_factory.mktemp("machine")).used() as found:
        found.write("staging", **asked(shared_account))
        said = up(found, "staging")
        assert said.code == 0, said.envelope
        yield found


def test_plan_after_up_is_empty(machine: Machine) -> None:
    folder = folder_of(machine, "staging")
    runner = Runner(folder, find_binary())
    argv = runner.argv("plan", detailed_exitcode=True, input=False, var_file=str(folder.variables))
    process.run(argv, env=runner.environment(), cwd=folder.work)


def test_second_up_starts_no_terraform(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*argv: object, **_: object) -> None:
        raise AssertionError(f"started {argv}")

    monkeypatch.setattr("mlops_platform.adapters.terraform.runner.run", fail)
    monkeypatch.setattr("mlops_platform.adapters.terraform.runner.spawn", fail)
    said = up(machine, "staging")
    assert said.code == 0 and said.data["changed"] == 0


def test_every_taggable_object_has_our_tags(machine: Machine) -> None:
    """Compare the tag index with the state."""
    account = machine.account
    tags = account.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "mlops-platform/env", "Values": ["staging"]}]
    )["ResourceTagMappingList"]
    for each in tags:
        found = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        assert found["mlops-platform/owner"] == "tester" and found["mlops-platform/run"]
    cluster = account.client("eks").describe_cluster(name="mlops-staging")["cluster"]
    assert cluster["tags"]["mlops-platform/env"] == "staging"
    template = account.client("ec2").describe_launch_template_versions(LaunchTemplateName="mlops-staging-a10")
    launched = template["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert {s["ResourceType"] for s in launched["TagSpecifications"]} == {
        "instance",
        "volume",
        "network-interface",
    }
    assert launched["MetadataOptions"]["HttpTokens"] == "required"


def test_empty_gpu_pool_describes_its_nodes_to_the_autoscaler(machine: Machine) -> None:
    account = machine.account
    pool = account.client("eks").describe_nodegroup(clusterName="mlops-staging", nodegroupName="a10")[
        "nodegroup"
    ]
    assert pool["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA" and pool["capacityType"] == "SPOT"
    assert pool["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    group = pool["resources"]["autoScalingGroups"][0]["name"]
    found = account.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    hints = {t["Key"]: t["Value"] for t in found["AutoScalingGroups"][0]["Tags"]}
    template = "k8s.io/cluster-autoscaler/node-template"
    assert hints[f"{template}/resources/nvidia.com/gpu"] == "1"
    assert hints[f"{template}/taint/nvidia.com/gpu"] == "present:NoSchedule"
    assert hints[f"{template}/label/team"] == "ml"


def test_autoscaler_may_change_only_pools_of_this_cluster(machine: Machine) -> None:
    """Check the policy of the autoscaler's role."""
    asked = {"RoleName": "mlops-staging-pools", "PolicyName": "pools"}
    said = machine.account.client("iam").get_role_policy(**asked)["PolicyDocument"]
    *looks, changes = said["Statement"]
    tag = "aws:ResourceTag/k8s.io/cluster-autoscaler/mlops-staging"
    assert changes["Condition"] == {"StringEquals": {tag: "owned"}}
    verbs = {action.partition(":")[2] for look in looks for action in look["Action"]}
    assert all(verb.startswith(("Describe", "Get")) for verb in verbs), verbs
    assert looks[-1]["Resource"][0].endswith(":nodegroup/mlops-staging/*")


def test_kubeconfig_has_no_secret_and_token_names_the_cluster(machine: Machine) -> None:
    import base64

    opened = open_environment("staging")
    work = read_only(opened)
    assert isinstance(work.cluster, AwsCluster)
    access = work.cluster.access(work.terraform.outputs())
    text = Path(access.kubeconfig).read_text()
    assert machine.account.secret not in text and '"exec"' in text
    assert access.token
    token = access.token()
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()
    assert "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id" in url and "X-Amz-Expires=60" in url
    assert machine.account.secret not in url and access.token() == token


def test_replacement_of_the_cluster_is_shown_and_needs_consent(
    machine: Machine,
) -> None:
    """Another range for Services replaces the cluster; a larger pool only changes its node group."""
    account, before = machine.account, folder_of(machine, "staging").read()
    larger = {"a10": {**OPTIONS["gpu_pools"]["a10"], "max": 8}}
    changed = {"service_cidr": "172.21.0.0/16", "gpu_pools": larger}
    machine.write("staging", **{**asked(account), **changed})
    try:
        said = machine.says("plan", "staging", lambda console: plan.run(console, only="cluster"))
        rejected = up(machine, "staging")
    finally:
        machine.write("staging", **asked(account))
    cluster, lost = said.data["cluster"], said.data["data_loss"]
    found = {each["address"]: each for each in cluster["changes"]}
    assert said.code == 0 and cluster["replace"] >= 1 and cluster["destroy"] == 0
    replaced = found["module.eks.aws_eks_cluster.this"]
    assert replaced["action"] == "replace" and "172.20.0.0/16 → 172.21.0.0/16" in replaced["details"][0]
    assert [each["where"] for each in lost] == ["module.eks.aws_eks_cluster.this"]
    assert said.data["price"]["hourly"]["max"] > said.data["price"]["hourly"]["min"] > 0

    assert rejected.code == 2 and rejected.error["command"].endswith("--yes --allow-data-loss")
    assert "module.eks.aws_eks_cluster.this: everything in the cluster" in rejected.error["why"]
    assert account.client("eks").describe_cluster(name="mlops-staging")["cluster"]["status"] == "ACTIVE"
    assert folder_of(machine, "staging").read() == before
    assert up(machine, "staging").data["changed"] == 0


# These can be created a second time without an error or a loss.
_AGAIN = (
    "aws_iam_role_policy",
    "aws_iam_role_policy_attachment",
    "aws_eks_access_policy_association",
    "aws_autoscaling_group_tag",
)


def test_every_object_in_the_state_has_an_import_id(machine: Machine) -> None:
    """Look up every address of the state, as if the state had not been written."""
    folder = folder_of(machine, "staging")
    assert folder.remote
    text = folder.remote.read()
    assert text
    state = parse(text)
    assert isinstance(state, State)
    wanted = [a for a in state.resources if not any(f"{kind}." in a for kind in _AGAIN)]
    found = folder.remote.import_ids(wanted, Silent())
    assert sorted(found) == sorted(wanted)
    for address, id_ in found.items():
        parts = [p for p in re.split(r"[,_/]|mlops-staging:", id_) if p and p != "0"]
        assert all(part in text for part in parts), (address, id_)
    assert folder.remote.left_behind(state.resources) == {}
    assert folder.remote.left_behind([]) == {
        "module.eks.aws_cloudwatch_log_group.this": "/aws/eks/mlops-staging/cluster"
    }


def test_objects_of_another_environment_have_no_import_id(machine: Machine) -> None:
    """Objects with similar names: an untagged role, a route table of another owner."""
    folder = folder_of(machine, "staging")
    assert folder.remote
    other = RemoteState(StateBucket(Session(machine.account.region), "stagin"))
    machine.account.client("iam").create_role(RoleName="mlops-stagin-node", AssumeRolePolicyDocument="{}")
    wanted = ["aws_vpc.this", "module.eks.aws_iam_role.node", "module.eks.aws_eks_cluster.this"]
    assert other.import_ids(wanted, Silent()) == {}


def test_down_removes_our_objects_and_none_of_others(machine: Machine) -> None:
    """The last test of this module. Objects in the cluster's network would block Terraform."""
    account, cloud = machine.account, machine.account.client("ec2")
    vpc = cloud.describe_vpcs(Filters=[{"Name": "tag:mlops-platform/env", "Values": ["staging"]}])["Vpcs"][0]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnet = cloud.describe_subnets(Filters=inside)["Subnets"][0]["SubnetId"]
    planted = Garden(account, {"mlops-platform/env": "staging"}, "planted")
    planted.cycle(vpc["VpcId"])
    planted.interface(subnet)
    planted.disks()
    others = Garden(account, {}, "mlops-staging-others")
    others.disks()

    said = machine.down("staging", allow_data_loss=False)

    assert (said.code, said.data["left"]) == (0, []), said.progress
    assert said.data["seen"] > 30 and said.data["cost"]["at_least"] >= 0
    for kind, ids in planted.ids.items():
        assert all(f"{kind} {id}" in said.progress for id in ids), kind
    assert {each["kind"] for each in said.data["stays"]} <= {"key", "state bucket"}
    assert cloud.describe_volumes(VolumeIds=others.ids["ebs volume"])["Volumes"]
    assert cloud.describe_snapshots(SnapshotIds=others.ids["ebs snapshot"])["Snapshots"]
    assert account.client("eks").list_clusters()["clusters"] == []
    assert [b["Name"] for b in account.client("s3").list_buckets()["Buckets"]] == []
    # The tag index still lists a deleted NAT gateway, and a key that is scheduled for deletion.
    assert machine.remotes().data["environments"] == []
