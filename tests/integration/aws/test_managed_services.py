"""The bucket and the node pools as managed services: access and addresses."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from mlops_platform.adapters.s3.transfer import put
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.aws import pod_identity, pool_sizes
from mlops_platform.clusters.aws.bucket import Bucket
from mlops_platform.clusters.aws.node_pools import NodePools
from mlops_platform.clusters.aws.options import Pool
from mlops_platform.clusters.aws.project_data import ProjectData
from mlops_platform.clusters.aws.session import session_of

from tests.fakes.aws import Account
from tests.integration.aws.planting import Garden

pytestmark = pytest.mark.integration

CLUSTER = "mlops-staging"


@pytest.fixture(autouse=True)
def _cluster(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_identity, "EFFECTIVE_SECONDS", 0.2)
    garden = Garden(account, {"mlops-platform/env": "staging"}, CLUSTER)
    subnet = garden.network()
    role = garden.identities()
    network = {"subnetIds": [subnet, garden.other_subnet]}
    eks = account.client("eks")
    eks.create_cluster(name=CLUSTER, roleArn=role, resourcesVpcConfig=network)
    data = {"LaunchTemplateName": "a10", "LaunchTemplateData": {"InstanceType": "g5.xlarge"}}
    template = account.client("ec2").create_launch_template(**data)["LaunchTemplate"]["LaunchTemplateId"]
    sizes = {"minSize": 0, "maxSize": 4, "desiredSize": 2}
    group = {"nodegroupName": "a10", "nodeRole": role, "subnets": [subnet], "scalingConfig": sizes}
    eks.create_nodegroup(clusterName=CLUSTER, launchTemplate={"id": template, "version": "1"}, **group)


@pytest.fixture
def bucket(account: Account) -> Bucket:
    return Bucket(session_of(account.region), lambda: account.id, "staging")


@pytest.fixture
def pools(account: Account) -> NodePools:
    return NodePools(session_of(account.region), lambda: account.id, "staging")


def associations(account: Account) -> set[tuple[str, str, str]]:
    eks = account.client("eks")
    found = eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]
    whole = [
        eks.describe_pod_identity_association(clusterName=CLUSTER, associationId=each["associationId"])
        for each in found
    ]
    rows = [each["association"] for each in whole]
    return {(row["namespace"], row["serviceAccount"], row["roleArn"].rpartition("/")[2]) for row in rows}


def test_pods_of_component_and_jobs_get_one_association(bucket: Bucket, account: Account) -> None:
    for _ in range(2):
        bucket.grant("mlflow", ("mlflow", "platform-jobs"))
    assert associations(account) == {
        ("mlflow", "mlflow", "mlops-staging-artifacts"),
        ("mlflow", "platform-jobs", "mlops-staging-artifacts"),
    }
    bucket.grant("airflow", ("airflow",))
    assert ("airflow", "airflow", "mlops-staging-artifacts") in associations(account)


@pytest.fixture
def data(account: Account, bucket: Bucket) -> ProjectData:
    account.client("s3").create_bucket(
        Bucket=f"mlops-staging-artifacts-{account.id}",
        CreateBucketConfiguration={"LocationConstraint": account.region},
    )
    return ProjectData(bucket)


def test_accounts_of_a_project_get_the_role_that_writes_or_reads(data: ProjectData, account: Account) -> None:
    for _ in range(2):
        data.grant("churn", {"trainer": True, "server": False})
    assert associations(account) == {
        ("churn", "trainer", "mlops-staging-project-data"),
        ("churn", "server", "mlops-staging-project-data-read"),
    }
    assert data.environment("churn") == {
        "DATA_URI": f"s3://mlops-staging-artifacts-{account.id}/projects/churn/data",
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
    }


@pytest.mark.parametrize(("keep", "left"), [(True, ["a", "b"]), (False, [])])
def test_removed_project_has_no_access_and_no_data(
    data: ProjectData, account: Account, tmp_path: Path, keep: bool, left: list[str]
) -> None:
    (tmp_path / "file").write_text("content")
    for project in ("churn", "churn-2"):
        data.grant(project, {"trainer": True})
        for key in ("a", "b"):
            put(data.bucket(project), tmp_path / "file", key)
    for _ in range(2):
        data.remove("churn", keep_data=keep)
    assert associations(account) == {("churn-2", "trainer", "mlops-staging-project-data")}
    assert [each.key for each in data.bucket("churn").list()] == left
    assert [each.key for each in data.bucket("churn-2").list()] == ["a", "b"]


def test_bucket_secret_has_no_password_and_a_prefix_per_namespace(bucket: Bucket, account: Account) -> None:
    values = bucket.values("mlflow")
    assert values["uri"] == f"s3://mlops-staging-artifacts-{account.id}/mlflow"
    assert values["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    assert (values["user"], values["password"]) == ("", "")


def test_bucket_endpoints_are_s3_and_the_agent(bucket: Bucket) -> None:
    agent, *networks = bucket.endpoints
    assert agent == ("169.254.170.23/32", 80)
    assert networks and all(port == 443 for _, port in networks)
    assert all(IPv4Network(cidr).prefixlen >= 8 for cidr, _ in networks)


def test_only_the_autoscaler_gets_access_to_pools(pools: NodePools, account: Account) -> None:
    for _ in range(2):
        pools.grant("scaler", ("scaler",))
    assert associations(account) == {("scaler", "scaler", "mlops-staging-pools")}
    assert not pools.jobs
    assert pools.values("scaler") == {"cloud": "aws", "region": account.region, "cluster": CLUSTER}


@pytest.mark.parametrize(("limits", "nodes"), [((3, 4), 3), ((0, 1), 1), ((0, 8), 2)])
def test_node_count_is_brought_between_new_limits(
    account: Account, limits: tuple[int, int], nodes: int
) -> None:
    """Terraform sends the current node count too, and EKS rejects one outside the limits."""
    asked = {"a10": Pool(min=limits[0], max=limits[1]), "new": Pool(min=1, max=1)}
    pool_sizes.fit(session_of(account.region), CLUSTER, asked, Silent())
    found = account.client("eks").describe_nodegroup(clusterName=CLUSTER, nodegroupName="a10")["nodegroup"]
    assert found["scalingConfig"]["desiredSize"] == nodes
