"""Proves what is taken in of a killed run's objects: only what is provably ours, and what is made by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.clusters.aws.import_ids import ImportIds, find
from mlops_platform.clusters.aws.session import Session, session_of
from mlops_platform.clusters.aws.state.bucket import Record, StateBucket

from tests.fakes.aws import REGION, Account
from tests.integration.aws.planting import Garden, pairs
from tests.integration.aws.refusals import answering
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
    """With the record of `staging`, of run RUN."""
    session = session_of(REGION)
    bucket = StateBucket(session, "staging")
    record = Record("staging", account.id, REGION, "tester", RUN, "2026-01-01T00:00:00+00:00")
    bucket.ensure(record.tags())
    bucket.write_record(record)
    return session


def taken(session: Session, *addresses: str, told: RecordingProgress | None = None) -> Mapping[str, str]:
    return find(session, "staging", addresses, told or RecordingProgress())


@pytest.mark.parametrize(("run", "ours"), [(RUN, True), (ELSEWHERE, False), ("", False)])
def test_of_what_has_no_region_in_its_name_a_run_of_the_record_is_demanded(
    account: Account, session: Session, run: str, ours: bool
) -> None:
    """Else an `up` here would take over, and destroy one day, what the same name has in another region."""
    marked, bucket = pairs(tags("staging", run)), f"mlops-staging-artifacts-{account.id}"
    iam, s3 = account.client("iam"), account.client("s3")
    iam.create_role(RoleName="mlops-staging-node", AssumeRolePolicyDocument="{}", Tags=marked)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": marked})
    wanted = {ROLE: "mlops-staging-node", BUCKET: bucket}
    assert taken(session, *wanted) == (wanted if ours else {})


def test_a_key_is_found_by_its_alias_before_the_index_knows_it(account: Account, session: Session) -> None:
    kms = account.client("kms")
    key = _key(account, tags("staging"))
    with answering(session, "resourcegroupstaggingapi", "GetResources", _nothing):
        assert taken(session, KEY, ALIAS) == {}
        kms.create_alias(AliasName="alias/mlops-staging", TargetKeyId=key)
        assert taken(session, KEY, ALIAS) == {KEY: key, ALIAS: "alias/mlops-staging"}


def test_an_alias_of_a_strangers_key_is_not_ours_and_the_index_is_asked(
    account: Account, session: Session
) -> None:
    theirs, ours = _key(account, {}), _key(account, tags("staging"))
    account.client("kms").create_alias(AliasName="alias/mlops-staging", TargetKeyId=theirs)
    assert taken(session, KEY, ALIAS) == {KEY: ours}


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
def test_a_name_alone_makes_nothing_ours(
    account: Account, session: Session, marked: Mapping[str, str], group: bool, logs: bool
) -> None:
    """But a log group without any tag: EKS makes it so."""
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
    found = taken(session, SUBNETS, LOG_GROUP)
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
def test_what_is_still_being_made_is_waited_for(
    account: Account, session: Session, operation: str, word: str, address: str
) -> None:
    """An import waits for nothing, and what hangs on it would be made at once, and fail."""
    _cluster(account)
    said = ["CREATING", "CREATING", "CREATING"]
    told = RecordingProgress()

    def creating(parsed: dict[str, Any]) -> None:
        if said:
            parsed[word]["status"] = said.pop()

    with answering(session, "eks", operation, creating):
        assert set(taken(session, address, told=told)) == {address}
    assert not said and any("CREATING" in each for each in told.said)


def test_what_is_on_its_way_out_is_waited_for_and_made_anew(account: Account, session: Session) -> None:
    """A kill in the middle of `down`, then `up`: what would be taken in would be gone a minute later."""
    _cluster(account)
    said = ["DELETING", "DELETING"]

    def deleting(parsed: dict[str, Any]) -> None:
        if "nodegroup" in parsed:
            parsed["nodegroup"]["status"] = said.pop()
            if not said:
                account.client("eks").delete_nodegroup(clusterName="mlops-staging", nodegroupName="system")

    with answering(session, "eks", "DescribeNodegroup", deleting):
        assert taken(session, POOL) == {}
    assert not said


def test_what_is_never_made_says_what_was_seen(
    account: Account, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cluster(account)
    monkeypatch.setattr("mlops_platform.clusters.aws.waiters._SECONDS", 0.1)

    def creating(parsed: dict[str, Any]) -> None:
        parsed["cluster"]["status"] = "CREATING"

    with answering(session, "eks", "DescribeCluster", creating), pytest.raises(WaitTimedOut) as caught:
        taken(session, CLUSTER)
    assert "CREATING" in caught.value.why


def test_a_node_group_that_failed_to_be_made_is_deleted_and_its_name_free(
    account: Account, session: Session
) -> None:
    _cluster(account)
    told = RecordingProgress()

    def failed(parsed: dict[str, Any]) -> None:
        if "nodegroup" in parsed:
            parsed["nodegroup"]["status"] = "CREATE_FAILED"

    with answering(session, "eks", "DescribeNodegroup", failed):
        assert taken(session, POOL, told=told) == {}
    assert account.client("eks").list_nodegroups(clusterName="mlops-staging")["nodegroups"] == []
    assert any("CREATE_FAILED" in note for note in told.notes)


def test_a_failed_one_of_another_run_stays(account: Account, session: Session) -> None:
    garden = Garden(account, tags("staging", ELSEWHERE), "mlops-staging")
    subnet = garden.network()
    garden.compute(subnet)
    garden.cluster(garden.identities(), [subnet, garden.other_subnet])

    def failed(parsed: dict[str, Any]) -> None:
        parsed["nodegroup"]["status"] = "CREATE_FAILED"

    with answering(session, "eks", "DescribeNodegroup", failed):
        assert taken(session, POOL) == {}
    assert account.client("eks").list_nodegroups(clusterName="mlops-staging")["nodegroups"] == ["system"]


def test_a_database_being_made_is_waited_for(account: Account, session: Session) -> None:
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
        assert taken(session, address) == {address: "mlops-staging-postgres"}
    assert not said
