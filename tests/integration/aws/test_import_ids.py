"""Import of a killed run's objects: only our own, and only finished ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.clusters.aws.import_ids import ImportIds, find
from mlops_platform.clusters.aws.session import Session, session_of
from mlops_platform.clusters.aws.state.bucket import Record, StateBucket

from tests.fakes.aws import REGION, Account
from tests.integration.aws.faults import answering
from tests.integration.aws.planting import Garden, pairs
from tests.integration.aws.world import RUN, tags
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration
ELSEWHERE = "2026-11-24T08-00-00Z.02"  # a run of the environment of the same name in another region
ROLE, BUCKET = "module.eks.aws_iam_role.node", 'aws_s3_bucket.this["artifacts"]'
CLUSTER, POOL = "module.eks.aws_eks_cluster.this", 'module.eks.aws_eks_node_group.this["system"]'
ADDON = 'module.eks.aws_eks_addon.before["vpc-cni"]'
KEY, ALIAS = "aws_kms_key.this", "aws_kms_alias.this"
SUBNETS, LOG_GROUP = 'aws_db_subnet_group.this["postgres"]', "module.eks.aws_cloudwatch_log_group.this"


@pytest.fixture
def session(account: Account) -> Session:
    """A session whose account has the record of `staging`, run RUN."""
    session = session_of(REGION)
    bucket = StateBucket(session, "staging")
    record = Record("staging", account.id, REGION, "tester", RUN, "2026-01-01T00:00:00+00:00")
    bucket.ensure(record.tags())
    bucket.write_record(record)
    return session


def imported(
    session: Session, *addresses: str, progress: RecordingProgress | None = None
) -> Mapping[str, str]:
    return find(session, "staging", addresses, progress or RecordingProgress())


@pytest.mark.parametrize(("run", "ours"), [(RUN, True), (ELSEWHERE, False), ("", False)])
def test_import_of_global_kinds_needs_a_run_of_the_record(
    account: Account, session: Session, run: str, ours: bool
) -> None:
    """Otherwise `up` would import objects of an environment of the same name in another region."""
    marked, bucket = pairs(tags("staging", run)), f"mlops-staging-artifacts-{account.id}"
    iam, s3 = account.client("iam"), account.client("s3")
    iam.create_role(RoleName="mlops-staging-node", AssumeRolePolicyDocument="{}", Tags=marked)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": marked})
    wanted = {ROLE: "mlops-staging-node", BUCKET: bucket}
    assert imported(session, *wanted) == (wanted if ours else {})


def test_key_is_found_by_alias_before_the_tag_index(account: Account, session: Session) -> None:
    kms = account.client("kms")
    key = _key(account, tags("staging"))
    with answering(session, "resourcegroupstaggingapi", "GetResources", _nothing):
        assert imported(session, KEY, ALIAS) == {}
        kms.create_alias(AliasName="alias/mlops-staging", TargetKeyId=key)
        assert imported(session, KEY, ALIAS) == {KEY: key, ALIAS: "alias/mlops-staging"}


def test_alias_of_another_key_is_ignored_and_index_is_used(account: Account, session: Session) -> None:
    theirs, ours = _key(account, {}), _key(account, tags("staging"))
    account.client("kms").create_alias(AliasName="alias/mlops-staging", TargetKeyId=theirs)
    assert imported(session, KEY, ALIAS) == {KEY: ours}


def _key(account: Account, marked: Mapping[str, str]) -> str:
    spelt = [{"TagKey": key, "TagValue": value} for key, value in marked.items()]
    return str(account.client("kms").create_key(Tags=spelt)["KeyMetadata"]["KeyId"])


def _nothing(parsed: dict[str, Any]) -> None:
    parsed["ResourceTagMappingList"] = []


@pytest.mark.parametrize(
    ("marked", "group", "logs"),
    [(tags("staging"), True, True), ({}, False, True), (tags("other"), False, False)],
    ids=["ours", "untagged", "another's"],
)
def test_name_alone_is_no_evidence_of_ownership(
    account: Account, session: Session, marked: Mapping[str, str], group: bool, logs: bool
) -> None:
    """A log group without tags is an exception: EKS creates it so."""
    garden = Garden(account, {}, "x")
    subnets = [garden.network(), garden.other_subnet]
    account.client("rds").create_db_subnet_group(
        DBSubnetGroupName="mlops-staging-postgres",
        DBSubnetGroupDescription="x",
        SubnetIds=subnets,
        Tags=pairs(marked),
    )
    name = "/aws/eks/mlops-staging/cluster"
    account.client("logs").create_log_group(logGroupName=name, tags=dict(marked))
    found = imported(session, SUBNETS, LOG_GROUP)
    assert found == {
        **({SUBNETS: "mlops-staging-postgres"} if group else {}),
        **({LOG_GROUP: name} if logs else {}),
    }
    assert ImportIds(session, "staging").log_group() == (name if logs else "")


def _cluster(account: Account) -> None:
    garden = Garden(account, tags("staging"), "mlops-staging")
    subnet = garden.network()
    garden.compute(subnet)
    garden.cluster(garden.identities(), [subnet, garden.other_subnet])


@pytest.mark.parametrize(
    ("operation", "word", "address"),
    [("DescribeCluster", "cluster", CLUSTER), ("DescribeNodegroup", "nodegroup", POOL)],
)
def test_import_waits_for_object_being_created(
    account: Account, session: Session, operation: str, word: str, address: str
) -> None:
    """`terraform import` does not wait, and children of an unfinished object would fail."""
    _cluster(account)
    said = ["CREATING", "CREATING", "CREATING"]
    progress = RecordingProgress()

    def creating(parsed: dict[str, Any]) -> None:
        if said:
            parsed[word]["status"] = said.pop()

    with answering(session, "eks", operation, creating):
        assert set(imported(session, address, progress=progress)) == {address}
    assert not said and any("CREATING" in each for each in progress.said)


def test_import_waits_for_end_of_object_being_deleted(account: Account, session: Session) -> None:
    """After a kill of `down`, an imported object would be gone a minute later."""
    _cluster(account)
    said = ["DELETING", "DELETING"]

    def deleting(parsed: dict[str, Any]) -> None:
        if "nodegroup" in parsed:
            parsed["nodegroup"]["status"] = said.pop()
            if not said:
                account.client("eks").delete_nodegroup(clusterName="mlops-staging", nodegroupName="system")

    with answering(session, "eks", "DescribeNodegroup", deleting):
        assert imported(session, POOL) == {}
    assert not said


def test_timeout_of_creation_names_last_status(
    account: Account, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cluster(account)
    monkeypatch.setattr("mlops_platform.clusters.aws.waiters._SECONDS", 0.1)

    def creating(parsed: dict[str, Any]) -> None:
        parsed["cluster"]["status"] = "CREATING"

    with answering(session, "eks", "DescribeCluster", creating), pytest.raises(WaitTimedOut) as caught:
        imported(session, CLUSTER)
    assert "CREATING" in caught.value.why


def test_failed_node_group_is_deleted(account: Account, session: Session) -> None:
    _cluster(account)
    progress = RecordingProgress()

    def failed(parsed: dict[str, Any]) -> None:
        if "nodegroup" in parsed:
            parsed["nodegroup"]["status"] = "CREATE_FAILED"

    with answering(session, "eks", "DescribeNodegroup", failed):
        assert imported(session, POOL, progress=progress) == {}
    assert account.client("eks").list_nodegroups(clusterName="mlops-staging")["nodegroups"] == []
    assert any("CREATE_FAILED" in note for note in progress.notes)


def test_failed_node_group_of_another_run_stays(account: Account, session: Session) -> None:
    garden = Garden(account, tags("staging", ELSEWHERE), "mlops-staging")
    subnet = garden.network()
    garden.compute(subnet)
    garden.cluster(garden.identities(), [subnet, garden.other_subnet])

    def failed(parsed: dict[str, Any]) -> None:
        parsed["nodegroup"]["status"] = "CREATE_FAILED"

    with answering(session, "eks", "DescribeNodegroup", failed):
        assert imported(session, POOL) == {}
    assert account.client("eks").list_nodegroups(clusterName="mlops-staging")["nodegroups"] == ["system"]


def test_import_waits_for_database_being_created(account: Account, session: Session) -> None:
    account.client("rds").create_db_instance(
        DBInstanceIdentifier="mlops-staging-postgres",
        Engine="postgres",
        DBInstanceClass="db.t4g.medium",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret",
        Tags=pairs(tags("staging")),
    )
    said, address = ["creating", "creating"], 'aws_db_instance.this["postgres"]'

    def creating(parsed: dict[str, Any]) -> None:
        if said:
            parsed["DBInstances"][0]["DBInstanceStatus"] = said.pop()

    with answering(session, "rds", "DescribeDBInstances", creating):
        assert imported(session, address) == {address: "mlops-staging-postgres"}
    assert not said
