"""The session, the state bucket and the record; first, that these tests use a fake account."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.base.errors import PreflightError, StepError, WaitTimedOut
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, Record, StateBucket, find
from mlops_platform.clusters.aws.state.record import principal

from tests.fakes.aws import REGION, Account, Cloud
from tests.integration.aws.faults import answering, refusing

pytestmark = pytest.mark.integration


def record(account: Account, environment: str = "staging") -> Record:
    return Record(environment, account.id, REGION, "tester", "run-1", "2026-01-01T00:00:00+00:00")


def test_sts_returns_the_fake_account_id(account: Account, cloud: Cloud) -> None:
    session = Session(REGION)
    assert session.account == account.id and session.caller.name == "tester"
    assert account.id.startswith("9") and cloud.account().id != account.id
    assert session.endpoint("ec2") == account.url == session.endpoint("s3")


def test_error_without_credentials_says_how_to_log_in(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(PreflightError) as caught:
        _ = Session(REGION).caller
    assert "aws sso login" in caught.value.hint


def test_failed_call_is_named_in_cli_syntax(account: Account) -> None:
    with pytest.raises(StepError) as caught, asking("ec2 describe-vpcs --vpc-ids vpc-0"):
        Session(REGION).client("ec2").describe_vpcs(VpcIds=["vpc-0"])
    assert caught.value.command == "aws ec2 describe-vpcs --vpc-ids vpc-0"
    assert "InvalidVpcID.NotFound" in caught.value.what


def test_state_bucket_is_versioned_encrypted_private_and_tagged(account: Account) -> None:
    bucket, s3 = StateBucket(Session(REGION), "staging"), account.client("s3")
    wanted = record(account)
    assert bucket.record() is None and not bucket.exists()
    assert bucket.ensure(wanted.tags()) and not bucket.ensure(wanted.tags())
    bucket.write_record(wanted)
    assert bucket.record() == wanted
    assert s3.get_bucket_versioning(Bucket=bucket.name)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket.tags() == wanted.tags() and bucket.tags()[ENVIRONMENT_TAG] == "staging"


def test_removal_deletes_every_version_and_no_other_bucket(account: Account) -> None:
    session = Session(REGION)
    for name in ("one", "two"):
        bucket = StateBucket(session, name)
        bucket.ensure(record(account, name).tags())
        for text in ("first", "second"):
            bucket.put("terraform.tfstate", text)
    account.client("s3").create_bucket(
        Bucket=f"mlops-platform-{account.id}-{REGION}-untagged",
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )
    assert [found.environment for found in find(session)] == ["one", "two"]
    StateBucket(session, "one").remove()
    StateBucket(session, "one").remove()
    assert [found.environment for found in find(session)] == ["two"]


def test_undeletable_object_is_named_and_not_retried_forever(account: Account) -> None:
    """S3 answers 200 nevertheless; only the result of each key counts."""
    bucket = StateBucket(Session(REGION), "staging")
    bucket.ensure(record(account).tags())
    bucket.put("terraform.tfstate", "kept")
    locked = {"Key": "terraform.tfstate", "Code": "AccessDenied", "Message": "object locked"}

    def fail(parsed: dict[str, Any]) -> None:
        parsed["Errors"] = [locked]

    with answering(bucket.session, "s3", "DeleteObjects", fail), pytest.raises(StepError) as caught:
        bucket.session.client("s3").put_object(Bucket=bucket.name, Key="more", Body=b"")
        bucket.remove()
    assert "AccessDenied" in caught.value.what and "terraform.tfstate: object locked" in caught.value.why
    assert bucket.exists()


@pytest.mark.parametrize(("times", "gone"), [(3, True), (100, False)])
def test_transient_error_of_a_key_is_retried_for_a_while(account: Account, times: int, gone: bool) -> None:
    session = Session(REGION)
    bucket = StateBucket(session, "staging")
    bucket.ensure(record(account).tags())
    bucket.put("terraform.tfstate", "kept")
    asked = 0

    def slow(params: dict[str, Any], **_: Any) -> None:
        nonlocal asked
        asked += 1
        if asked <= times:
            params["Delete"] = {"Objects": [{"Key": "none", "VersionId": "null"}]}

    def said(parsed: dict[str, Any]) -> None:
        if asked <= times:
            parsed["Errors"] = [{"Key": "terraform.tfstate", "Code": "SlowDown"}]

    events = session.client("s3").meta.events
    events.register("before-parameter-build.s3.DeleteObjects", slow)
    with answering(session, "s3", "DeleteObjects", said):
        if gone:
            bucket.remove()
        else:
            with pytest.raises(StepError) as caught:
                bucket.remove()
            assert caught.value.transient
    assert bucket.exists() is not gone


def test_creation_waits_for_recently_deleted_bucket(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers CreateBucket with 409 while the name is not free yet."""
    bucket = StateBucket(Session(REGION), "staging")
    with refusing(bucket.session, "s3", "CreateBucket", "OperationAborted", times=2) as asked:
        assert bucket.ensure(record(account).tags())
    assert len(asked) == 2 and bucket.tags()[ENVIRONMENT_TAG] == "staging"
    monkeypatch.setattr("mlops_platform.clusters.aws.state.bucket._REMADE_SECONDS", 0.1)
    other = StateBucket(bucket.session, "other")
    with refusing(bucket.session, "s3", "CreateBucket", "OperationAborted"), pytest.raises(WaitTimedOut):
        other.ensure(record(account, "other").tags())


def test_changed_lock_stays(account: Account) -> None:
    bucket = StateBucket(Session(REGION), "staging")
    bucket.ensure(record(account).tags())
    bucket.put("lock", "mine")
    found = bucket.get("lock")
    assert found
    bucket.put("lock", "theirs")
    bucket.delete("lock", found[1])
    assert (bucket.get("lock") or ("",))[0] == "theirs"
    bucket.delete("lock", (bucket.get("lock") or ("", ""))[1])
    assert bucket.get("lock") is None


def test_assumed_role_is_named_by_its_iam_arn(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """EKS compares ARNs, and the ARN of a session lacks the role's path."""
    assert principal(Session(REGION)) == f"arn:aws:iam::{account.id}:user/tester"
    role = account.client("iam").create_role(RoleName="r", Path="/team/", AssumeRolePolicyDocument="{}")
    arn = role["Role"]["Arn"]
    taken = account.client("sts").assume_role(RoleArn=arn, RoleSessionName="ada")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", taken["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", taken["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", taken["SessionToken"])
    assert Session(REGION).caller.arn.endswith(":assumed-role/r/ada")
    assert principal(Session(REGION)) == arn
