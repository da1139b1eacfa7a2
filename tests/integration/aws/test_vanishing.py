"""Inventory and sweep with behavior of the real AWS: lists that lag, missing rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session, session_of
from mlops_platform.clusters.aws.teardown.inventory import find, look
from mlops_platform.clusters.aws.teardown.sweep import Sweeper
from mlops_platform.clusters.aws.teardown.sweeps import KINDS, ec2, eks, iam, rest, stores

from tests.fakes.aws import Account
from tests.integration.aws.faults import answering, refusing
from tests.integration.aws.planting import Garden, pairs
from tests.integration.aws.world import RUN, Machine, tags
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration
NAME = "gone"
OURS = Ownership(NAME, f"mlops-{NAME}", frozenset({RUN}))


@pytest.fixture(scope="module")
def gardens(shared_account: Account) -> tuple[Garden, Garden]:
    """Two objects of every kind."""
    first, second = (Garden(shared_account, tags(NAME), f"mlops-{NAME}-{each}") for each in "ab")
    first.everything()
    second.everything()
    return first, second


@pytest.fixture
def session(account: Account) -> Session:
    return session_of(account.region)


VANISHING = [
    ("cluster", "eks", "DescribeCluster", "ResourceNotFoundException"),
    ("node group", "eks", "ListNodegroups", "ResourceNotFoundException"),
    ("node group", "eks", "DescribeNodegroup", "ResourceNotFoundException"),
    ("iam role", "iam", "ListRoleTags", "NoSuchEntity"),
    ("iam policy", "iam", "ListPolicyTags", "NoSuchEntity"),
    ("instance profile", "iam", "GetInstanceProfile", "NoSuchEntity"),
    ("oidc provider", "iam", "ListOpenIDConnectProviderTags", "NoSuchEntity"),
    ("log group", "logs", "ListTagsForResource", "ResourceNotFoundException"),
    ("key", "kms", "DescribeKey", "NotFoundException"),
    ("key", "kms", "ListResourceTags", "NotFoundException"),
    ("key alias", "kms", "ListResourceTags", "NotFoundException"),
    ("bucket", "s3", "GetBucketTagging", "NoSuchBucket"),
    ("bucket", "s3", "ListObjectVersions", "NoSuchBucket"),
    ("database subnet group", "rds", "ListTagsForResource", "DBSubnetGroupNotFoundFault"),
    ("image repository", "ecr", "ListTagsForResource", "RepositoryNotFoundException"),
    ("classic load balancer", "elb", "DescribeTags", "LoadBalancerNotFound"),
    ("load balancer", "elbv2", "DescribeTags", "LoadBalancerNotFound"),
    ("target group", "elbv2", "DescribeTags", "TargetGroupNotFound"),
    ("listener", "elbv2", "DescribeListeners", "LoadBalancerNotFound"),
    ("listener", "elbv2", "DescribeTags", "ListenerNotFound"),
]


@pytest.mark.parametrize(("kind", "service", "operation", "code"), VANISHING)
def test_inventory_skips_object_that_is_gone_after_the_list(
    gardens: tuple[Garden, Garden], kind: str, service: str, operation: str, code: str
) -> None:
    """Also for batch calls, which fail completely when one object is gone."""
    first, second = gardens
    session = session_of(first.account.region)
    words = (first.word, first.ids["key"][0])
    wanted = next(each for each in KINDS if each.name == kind)
    with refusing(
        session,
        service,
        operation,
        code,
        only=lambda params: any(word in str(params) for word in words),
    ) as asked:
        found = {each.resource.id for each in find(session, OURS, wanted)}
    assert asked and found == set(second.ids[kind])


def test_inventory_describes_no_objects_of_others(account: Account, session: Session) -> None:
    """With rights only on `mlops-*`, another cluster would end every inventory."""
    ours, theirs = Garden(account, tags("mine"), "mlops-mine"), Garden(account, {}, "billing")
    for garden in (ours, theirs):
        subnet = garden.network()
        garden.compute(subnet)
        garden.cluster(garden.identities(), [subnet, garden.other_subnet])
        garden.images()
    ownership = Ownership("mine", "mlops-mine", frozenset({RUN}))
    with (
        refusing(session, "eks", "DescribeCluster", "AccessDeniedException", only=_theirs),
        refusing(session, "eks", "ListNodegroups", "AccessDeniedException", only=_theirs),
        refusing(session, "ecr", "ListTagsForResource", "AccessDeniedException", only=_theirs),
    ):
        found = {each.kind for each in look(session, ownership)}
        rows = Machine(account, Path("/nonexistent")).remotes().data["environments"]
    assert {"cluster", "node group", "image repository"} <= found
    assert [row["name"] for row in rows] == ["mine"]


def test_inventory_finds_our_tag_under_another_name(account: Account, session: Session) -> None:
    """The name only narrows the lookup."""
    garden = Garden(account, tags("mine"), "analytics")
    subnet = garden.network()
    garden.compute(subnet)
    garden.cluster(garden.identities(), [subnet, garden.other_subnet])
    garden.client("ecr").create_repository(repositoryName="team/images", tags=pairs(tags("mine")))
    start = f":{account.region}:{account.id}:"
    arns = [f"arn:aws:eks{start}cluster/analytics", f"arn:aws:ecr{start}repository/team/images"]

    def index(parsed: dict[str, Any]) -> None:
        parsed["ResourceTagMappingList"] = [{"ResourceARN": arn, "Tags": []} for arn in arns]

    ownership = Ownership("mine", "mlops-mine", frozenset({RUN}))
    with answering(session, "resourcegroupstaggingapi", "GetResources", index):
        found = [
            find(session, ownership, kind) for kind in (eks.CLUSTERS, eks.NODE_GROUPS, stores.REPOSITORIES)
        ]
    assert [[each.resource.id for each in of_kind] for of_kind in found] == [
        ["analytics"],
        ["analytics:system"],
        ["team/images"],
    ]


def _theirs(params: dict[str, object]) -> bool:
    return "mlops-" not in str(params)


def test_sweep_notes_denied_deletion_and_continues(account: Account, session: Session) -> None:
    """Also when it is the first of its kind."""
    garden = Garden(account, tags("denied"), "mlops-denied-x")
    for _ in range(3):
        garden.disks()
    kept = garden.ids["ebs volume"][0]
    progress = RecordingProgress()
    sweeper = Sweeper(session, Ownership("denied", "", frozenset({RUN})), progress, Cancel(), patience=0.01)
    with refusing(
        session, "ec2", "DeleteVolume", "UnauthorizedOperation", only=lambda params: kept in str(params)
    ) as asked:
        sweeper.sweep({("ebs volume", id) for id in garden.ids["ebs volume"]}, (ec2.VOLUMES,))
    left = {each["VolumeId"] for each in account.client("ec2").describe_volumes()["Volumes"]}
    assert left & set(garden.ids["ebs volume"]) == {kept}
    assert len(asked) == 1, "it is not tried again"
    assert [note for note in progress.notes if kept in note and "UnauthorizedOperation" in note]


@pytest.mark.parametrize(
    "code", ["InvalidSnapshot.InUse", "OperationAbortedException", "InvalidDBSnapshotState", "BucketNotEmpty"]
)
def test_sweep_retries_transient_error(account: Account, session: Session, code: str) -> None:
    garden = Garden(account, tags("passing"), "mlops-passing-x")
    garden.disks()
    ownership = Ownership("passing", "", frozenset({RUN}))
    sweeper = Sweeper(session, ownership, RecordingProgress(), Cancel(), patience=0.1)
    with refusing(session, "ec2", "DeleteSnapshot", code, times=2):
        sweeper.sweep({("ebs snapshot", id) for id in garden.ids["ebs snapshot"]}, (ec2.SNAPSHOTS,))
    assert not ec2.SNAPSHOTS.exists or not ec2.SNAPSHOTS.exists(session, garden.ids["ebs snapshot"][0])


def test_role_is_deleted_with_the_instance_profile_of_eks(account: Account, session: Session) -> None:
    """The profile lacks our tag, and is left over when the deletion of its node group is interrupted."""
    client = account.client("iam")
    marked = [{"Key": key, "Value": value} for key, value in tags("nodes").items()]
    client.create_role(RoleName="mlops-nodes-node", AssumeRolePolicyDocument="{}", Tags=marked)
    client.create_role(RoleName="mlops-nodes-x", AssumeRolePolicyDocument="{}", Tags=marked)
    for profile, role in (("eks-1234", "mlops-nodes-node"), ("somebodys", "mlops-nodes-x")):
        client.create_instance_profile(InstanceProfileName=profile)
        client.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    client.create_instance_profile(InstanceProfileName="eks-5678")
    ownership = Ownership("nodes", "", frozenset({RUN}))
    for found in find(session, ownership, iam.ROLES):
        iam.ROLES.delete(session, found.resource, ownership)
    assert client.list_roles()["Roles"] == []
    left = client.list_instance_profiles()["InstanceProfiles"]
    assert {each["InstanceProfileName"]: each["Roles"] for each in left} == {"somebodys": [], "eks-5678": []}


def test_denied_list_ends_the_inventory(account: Account, session: Session) -> None:
    """Without an answer an object is not gone."""
    with (
        refusing(session, "kms", "ListAliases", "AccessDeniedException"),
        pytest.raises(StepError, match="kms list-aliases"),
    ):
        find(session, OURS, rest.KEYS)
