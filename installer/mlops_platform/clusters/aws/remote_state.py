"""The Terraform state in the environment's bucket: S3 backend with its native lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws import import_ids as import_ids
from mlops_platform.clusters.aws.session import elsewhere
from mlops_platform.clusters.aws.state.bucket import LOCK_KEY, STATE_KEY, StateBucket

_LOG_GROUP = "module.eks.aws_cloudwatch_log_group.this"


class RemoteState:
    """The S3 backend; see adapters/terraform/remote.py for the contract."""

    def __init__(self, bucket: StateBucket) -> None:
        self._bucket = bucket

    @property
    def where(self) -> str:
        return f"s3://{self._bucket.name}/{STATE_KEY}"

    def config(self) -> Mapping[str, str | bool]:
        """The settings of https://developer.hashicorp.com/terraform/language/backend/s3."""
        return {
            "bucket": self._bucket.name,
            "key": STATE_KEY,
            "region": self._bucket.session.region,
            "encrypt": True,
            "use_lockfile": True,
            "use_path_style": elsewhere(),
        }

    def read(self) -> str | None:
        found = self._bucket.get(STATE_KEY)
        return found[0] if found else None

    def write(self, text: str) -> None:
        self._bucket.put(STATE_KEY, text)

    def lock(self) -> str | None:
        found = self._bucket.get(LOCK_KEY)
        return found[0] if found else None

    def unlock(self, lock: str) -> None:
        found = self._bucket.get(LOCK_KEY)
        if found and found[0] == lock:
            self._bucket.delete(LOCK_KEY, found[1])

    def import_ids(
        self, addresses: Sequence[str], progress: Progress, cancel: Cancel | None = None
    ) -> Mapping[str, str]:
        return import_ids.find(self._bucket.session, self._bucket.environment, addresses, progress, cancel)

    def left_behind(self, known: Sequence[str]) -> Mapping[str, str]:
        """The log group that EKS recreates after Terraform deleted it (docs/aws.md)."""
        if any(address.endswith(_LOG_GROUP) for address in known):
            return {}
        found = import_ids.ImportIds(self._bucket.session, self._bucket.environment).log_group()
        return {_LOG_GROUP: found} if found else {}
