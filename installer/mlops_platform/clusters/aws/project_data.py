"""The data of projects in the environment's S3 bucket: a prefix each, for the pods of the project only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mlops_platform.adapters import s3
from mlops_platform.clusters.aws.bucket import Bucket, s3_endpoints
from mlops_platform.clusters.aws.pod_identity import associate, dissociate
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import empty

_WRITES, _READS = "project-data", "project-data-read"  # roles of terraform/aws/stores.tf


@dataclass(frozen=True)
class ProjectData:
    """The prefix `projects/NAME/data/`. The roles' policies take the name from the tag of a pod's session."""

    session: Session
    account: Callable[[], str]
    environment_name: str

    @cached_property
    def _store(self) -> Bucket:
        return Bucket(self.session, self.account, self.environment_name)

    @cached_property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        return s3_endpoints(self.session)

    def uri(self, project: str) -> str:
        return self.bucket(project).uri

    def environment(self, project: str) -> Mapping[str, str]:
        """Without keys: EKS adds the variables of the Pod Identity agent."""
        region = self.session.region
        return {"DATA_URI": self.uri(project), "AWS_REGION": region, "AWS_DEFAULT_REGION": region}

    def grant(self, project: str, accounts: Mapping[str, bool]) -> None:
        roles = {name: _WRITES if writes else _READS for name, writes in accounts.items()}
        associate(self.session, self.account(), self.environment_name, project, roles)

    def remove(self, project: str, *, keep_data: bool) -> int:
        """Pods that run keep the credentials of their role until they end, an hour at most; the project's
        are gone by now."""
        dissociate(self.session, self.environment_name, project)
        if keep_data:
            return 0
        with asking(f"s3api delete-objects --bucket {self._store.name}"):
            return empty(self.session, self._store.name, f"projects/{project}/data/")

    def bucket(self, project: str) -> s3.Bucket:
        prefix = f"projects/{project}/data/"
        return s3.Bucket(self._store.name, lambda: self.session.client("s3"), prefix)
