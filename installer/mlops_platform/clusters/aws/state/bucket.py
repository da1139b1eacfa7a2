"""The bucket of an environment's Terraform state and record: created first, removed last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws.session import Session, asking, code_of

PREFIX = "mlops-platform"
ENVIRONMENT_TAG = "mlops-platform/env"
RUN_TAG = "mlops-platform/run"
OWNER_TAG = "mlops-platform/owner"
EXPIRES_TAG = "mlops-platform/expires-at"
STATE_KEY = "terraform.tfstate"
LOCK_KEY = f"{STATE_KEY}.tflock"
RECORD_KEY = "record.json"
_DELETED_AT_ONCE = 1000  # the limit of DeleteObjects
_TRANSIENT = frozenset({"InternalError", "SlowDown"})  # of single keys, in a successful answer
_ATTEMPTS = 10  # consecutive pages without any deletion
_REMADE_SECONDS = 120  # a name becomes free some time after DeleteBucket


@dataclass(frozen=True)
class Record:
    """The evidence of ownership beside the tag: environment, account, region, owner, run and file.

    `expires_at` is RFC 3339 or ''. `runs` are all runs that changed it; `maker` is the IAM user or role that
    created it.
    """

    environment: str
    account: str
    region: str
    owner: str
    run: str
    made_at: str
    expires_at: str = ""
    file: str = ""
    runs: tuple[str, ...] = ()
    maker: str = ""

    @property
    def every_run(self) -> frozenset[str]:
        """The runs that the tag of our objects may name."""
        return frozenset(run for run in (self.run, *self.runs) if run)

    @classmethod
    def parse(cls, text: str) -> Record:
        """Parse a record. Raises StepError for an invalid text."""
        try:
            data = json.loads(text)
            return cls(**{**data, "runs": tuple(data.get("runs", ()))})
        except (ValueError, TypeError) as error:
            raise StepError(f"{RECORD_KEY} cannot be read", why=str(error)) from error

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def tags(self) -> dict[str, str]:
        """The tags of every object of this environment."""
        expires = {EXPIRES_TAG: self.expires_at} if self.expires_at else {}
        return {ENVIRONMENT_TAG: self.environment, RUN_TAG: self.run, OWNER_TAG: self.owner, **expires}

    def joined(self, run: str) -> Record:
        """A copy with one more run."""
        return self if not run or run in self.runs else replace(self, runs=(*self.runs, run))


def bucket_name(account: str, region: str, environment: str) -> str:
    """The name, within S3's limit of 63 characters: 15 + 12 + 1 + 14 + 1 + 20."""
    return f"{PREFIX}-{account}-{region}-{environment}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class StateBucket:
    """The bucket of one environment, always used by its name, never searched for."""

    def __init__(self, session: Session, environment: str) -> None:
        self.session = session
        self.environment = environment

    @property
    def name(self) -> str:
        return bucket_name(self.session.account, self.session.region, self.environment)

    def exists(self) -> bool:
        """False also for a bucket of that name in another account, which its creation will report."""
        return self.session.ask("s3", "head_bucket", Bucket=self.name) is not None

    def ensure(self, tags: Mapping[str, str]) -> bool:
        """Create and configure it: versioned, encrypted, TLS only, not public. True when it is new.

        Raises StepError, also when the name is taken in another account.
        """
        s3, bucket = self.session.client("s3"), self.name
        new = not self.exists()
        region = self.session.region
        # us-east-1 must not be given as LocationConstraint (S3 CreateBucket).
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        with asking(f"s3api create-bucket --bucket {bucket}"):
            if new:
                self._create(**({"CreateBucketConfiguration": where} if where else {}))
            s3.put_public_access_block(
                Bucket=bucket,
                PublicAccessBlockConfiguration=dict.fromkeys(
                    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
                    True,
                ),
            )
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
            if self.session.endpoint("s3").startswith("https://"):  # otherwise it would lock us out
                s3.put_bucket_policy(Bucket=bucket, Policy=_tls_only(bucket, region))
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": _tag_set(tags)})
        return new

    def _create(self, **arguments: Any) -> None:
        """Create it, and retry after a recent DeleteBucket, while S3 answers 409 OperationAborted.

        Raises botocore's errors, WaitTimedOut.
        """
        from botocore.exceptions import ClientError  # imported at use: start-up time

        def attempt() -> bool | Pending:
            try:
                self.session.client("s3").create_bucket(Bucket=self.name, **arguments)
            except ClientError as error:
                if code_of(error) == "OperationAborted":
                    return Pending(str(error))
                raise
            return True

        wait_until(
            f"bucket {self.name}",
            attempt,
            seconds=_REMADE_SECONDS,
            longest_delay=5,
            hint="run the same command again: a deleted bucket's name is not free yet",
        )

    def tags(self) -> dict[str, str]:
        """The bucket's tags; empty when it does not exist."""
        found = self.session.ask("s3", "get_bucket_tagging", Bucket=self.name)
        return {t["Key"]: t["Value"] for t in found["TagSet"]} if found else {}

    def get(self, key: str) -> tuple[str, str] | None:
        """An object's text and ETag; None when it or the bucket does not exist."""
        found = self.session.ask("s3", "get_object", Bucket=self.name, Key=key)
        return (found["Body"].read().decode(), found["ETag"]) if found else None

    def put(self, key: str, text: str) -> None:
        with asking(f"s3api put-object --bucket {self.name} --key {key}"):
            self.session.client("s3").put_object(Bucket=self.name, Key=key, Body=text.encode())

    def delete(self, key: str, etag: str) -> None:
        """Delete an object if its ETag is still the same."""
        found = self.get(key)
        if found and found[1] == etag:
            with asking(f"s3api delete-object --bucket {self.name} --key {key}"):
                self.session.client("s3").delete_object(Bucket=self.name, Key=key)

    def record(self) -> Record | None:
        found = self.get(RECORD_KEY)
        return Record.parse(found[0]) if found else None

    def write_record(self, record: Record) -> None:
        self.put(RECORD_KEY, record.text())

    def remove(self) -> None:
        """Delete every version of every object, then the bucket, if it exists."""
        s3, bucket = self.session.client("s3"), self.name
        if not self.exists():
            return
        with asking(f"s3 rb --force s3://{bucket}"):
            empty(self.session, bucket)
            s3.delete_bucket(Bucket=bucket)


def find(session: Session) -> Iterator[StateBucket]:
    """The state buckets of this account and region, by name and tag: one per environment."""
    start = bucket_name(session.account, session.region, "")
    with asking("s3api list-buckets"):
        names = [b["Name"] for b in session.client("s3").list_buckets()["Buckets"]]
    for name in names:
        if name.startswith(start):
            bucket = StateBucket(session, name.removeprefix(start))
            if bucket.tags().get(ENVIRONMENT_TAG) == bucket.environment:
                yield bucket


def empty(session: Session, bucket: str, prefix: str = "") -> int:
    """Delete every version of every object, or of those below a prefix, and return their number.

    Raises botocore's errors, and StepError for an object that stays.

    DeleteObjects answers 200 also when it has deleted nothing: only the result of each key counts. Otherwise
    the same page would be listed forever.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    s3, failures, deleted = session.client("s3"), 0, 0
    while True:
        page = s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=_DELETED_AT_ONCE)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not found:
            return deleted
        versions = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
        errors = answer.get("Errors", ())
        deleted += len(found) - len(errors)
        failures = failures + 1 if len(errors) == len(found) else 0
        lasting = [each for each in errors if each.get("Code") not in _TRANSIENT]
        if lasting or failures >= _ATTEMPTS:
            first = (lasting or errors)[0]
            raise StepError(
                f"aws s3api delete-objects --bucket {bucket}: {first.get('Code')}",
                why=f"{first.get('Key')}: {first.get('Message', '')}",
                hint="" if not lasting else "remove what protects it: an object lock or a bucket policy",
                transient=not lasting,
            )


def _tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _tls_only(bucket: str, region: str) -> str:
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if "-gov-" in region else "aws"
    arn = f"arn:{partition}:s3:::{bucket}"
    statement = {
        "Sid": "OnlyOverTLS",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
