"""The data of projects in the environment's S3 bucket: a prefix each, for the pods of the project only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops_platform.adapters import s3
from mlops_platform.clusters.aws.bucket import Bucket
from mlops_platform.clusters.aws.pod_identity import associate, dissociate
from mlops_platform.clusters.aws.session import asking
from mlops_platform.clusters.aws.state.bucket import empty

_WRITES, _READS = "project-data", "project-data-read"  # roles of terraform/aws/stores.tf


@dataclass(frozen=True)
class ProjectData:
    """The prefix `projects/NAME/data/`. The roles' policies take the name from the tag of a pod's session."""

    store: Bucket

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        return self.store.endpoints

    def uri(self, project: str) -> str:
        return self.bucket(project).uri

    def environment(self, project: str) -> Mapping[str, str]:
        """Without keys: EKS adds the variables of the Pod Identity agent."""
        region = self.store.session.region
        return {"DATA_URI": self.uri(project), "AWS_REGION": region, "AWS_DEFAULT_REGION": region}

    def grant(self, project: str, accounts: Mapping[str, bool]) -> None:
        roles = {name: _WRITES if writes else _READS for name, writes in accounts.items()}
        store = self.store
        associate(store.session, store.account(), store.environment, project, roles)

    def remove(self, project: str, *, keep_data: bool) -> int:
        """Pods that run keep the credentials of their role until they end, an hour at most; the project's
        are gone by now."""
        store = self.store
        dissociate(store.session, store.environment, project)
        if keep_data:
            return 0
        with asking(f"s3api delete-objects --bucket {store.name}"):
            return empty(store.session, store.name, _prefix(project))

    def bucket(self, project: str) -> s3.Bucket:
        return s3.Bucket(self.store.name, lambda: self.store.session.client("s3"), _prefix(project))


def _prefix(project: str) -> str:
    return f"projects/{project}/data/"
