"""Proves the cluster layer with the real Terraform and its real provider: made, unchanged, recovered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.adapters import process
from installer.adapters.terraform import find_binary
from installer.adapters.terraform.runner import Runner
from installer.clusters.aws.provider import AwsProvider
from installer.reach import read_only
from installer.session import open_environment
from tests.fakes.aws import Account
from tests.integration.aws.made import OPTIONS, folder_of, up
from tests.integration.aws.world import Machine

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def machine(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With the environment `staging`, whose cluster has been made."""
    with Machine(shared_account, tmp_path_factory.mktemp("machine")).used() as found:
        found.write("staging", **OPTIONS)
        said = up(found, "staging")
        assert said.code == 0, said.envelope
        yield found


def test_a_plan_after_up_is_empty(machine: Machine) -> None:
    folder = folder_of(machine, "staging")
    runner = Runner(folder, find_binary())
    argv = runner.argv("plan", detailed_exitcode=True, input=False, var_file=str(folder.variables))
    process.run(argv, env=runner.environment(), cwd=folder.work)


def test_a_second_up_starts_no_terraform(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*argv: object, **_: object) -> None:
        raise AssertionError(f"started {argv}")

    monkeypatch.setattr("installer.adapters.terraform.runner.run", refuse)
    monkeypatch.setattr("installer.adapters.terraform.runner.spawn", refuse)
    said = up(machine, "staging")
    assert said.code == 0 and said.data["changed"] == 0


def test_everything_that_can_have_a_tag_has_ours(machine: Machine) -> None:
    """By what the tagging API of the cloud lists, which knows nothing of our state."""
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


def test_an_empty_gpu_pool_tells_the_autoscaler_what_its_nodes_would_be(machine: Machine) -> None:
    account = machine.account
    pool = account.client("eks").describe_nodegroup(clusterName="mlops-staging", nodegroupName="a10")[
        "nodegroup"
    ]
    assert pool["amiType"] == "AL2023_x86_64_NVIDIA" and pool["capacityType"] == "SPOT"
    assert pool["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    group = pool["resources"]["autoScalingGroups"][0]["name"]
    found = account.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    hints = {t["Key"]: t["Value"] for t in found["AutoScalingGroups"][0]["Tags"]}
    template = "k8s.io/cluster-autoscaler/node-template"
    assert hints[f"{template}/resources/nvidia.com/gpu"] == "1"
    assert hints[f"{template}/taint/nvidia.com/gpu"] == "present:NoSchedule"
    assert hints[f"{template}/label/team"] == "ml"


def test_the_kubeconfig_holds_no_secret_and_our_token_names_the_cluster(machine: Machine) -> None:
    import base64

    opened = open_environment("staging")
    work = read_only(opened)
    assert isinstance(work.cluster, AwsProvider)
    access = work.cluster.access(work.terraform.outputs())
    text = Path(access.kubeconfig).read_text()
    assert machine.account.secret not in text and '"exec"' in text
    assert access.token
    token = access.token()
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()
    assert "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id" in url and "X-Amz-Expires=60" in url
    assert machine.account.secret not in url and access.token() == token
