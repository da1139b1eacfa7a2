"""The data of projects: in a component that is an object store, or in that of the cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import TOKEN_SECONDS, TOKENS_PATH
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.component import Component
from mlops_platform.clusters.managed import ManagedData
from mlops_platform.run.context import Context

if TYPE_CHECKING:
    from mlops_platform.adapters.s3 import Bucket

CONFIG_NAME = "data"  # the ConfigMap in a project's namespace, for `envFrom` of pods
_CAPABILITY = "object-store"


class Data(Protocol):
    """The object store with the data of projects."""

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        """Addresses outside of the cluster that pods of projects need for it."""

    def uri(self, project: str) -> str:
        """The place of a project's data."""

    def environment(self, project: str) -> Mapping[str, str]:
        """The variables with which AWS SDKs in pods find it and get credentials."""

    def opened(self, context: Context, project: str, account: str) -> AbstractContextManager[Bucket]:
        """Open the data of a project for the block."""


@dataclass(frozen=True)
class StoreData:
    """A component with a bucket for each project. It exchanges tokens of the project's accounts."""

    component: Component
    endpoints: Sequence[tuple[str, int]] = ()

    @property
    def _audience(self) -> str:
        assert self.component.projects
        return self.component.projects.token

    @property
    def _port(self) -> int:
        return self.component.serves[self.component.provides[_CAPABILITY].port].port

    @property
    def _region(self) -> str:
        return self.component.provides[_CAPABILITY].keys["region"]

    def _bucket(self, project: str) -> str:
        assert self.component.projects
        return str(substitute(self.component.projects.data, {"project": project}))

    def uri(self, project: str) -> str:
        return f"s3://{self._bucket(project)}"

    def environment(self, project: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html"""
        url = f"http://{self.component.name}.{self.component.namespace}.svc:{self._port}"
        return {
            "DATA_URI": self.uri(project),
            "DATA_TOKEN_AUDIENCE": self._audience,
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ENDPOINT_URL_STS": url,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/project",  # SDKs want one; the token decides
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{TOKENS_PATH}/{self._audience}",
        }

    @contextmanager
    def opened(self, context: Context, project: str, account: str) -> Iterator[Bucket]:
        """The token comes from the API server, so the caller needs the right to make tokens of the account;
        no password of the object store is used."""
        # Load wsproto and botocore: imported at use, for start-up time.
        from mlops_platform.adapters.kube.forward import forward
        from mlops_platform.adapters.s3 import Bucket, exchanging

        kube = context.clients.kube

        def token() -> str:
            return kube.token(project, account, self._audience, seconds=TOKEN_SECONDS)

        place = self.component.namespace, f"service/{self.component.name}", self._port
        with forward(kube, *place) as address:
            url = f"http://{address}"
            yield Bucket(self._bucket(project), lambda: exchanging(url, self._region, token))


@dataclass(frozen=True)
class CloudData:
    """A managed object store of the cloud; users have access by their own login there."""

    service: ManagedData

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        return self.service.endpoints

    def uri(self, project: str) -> str:
        return self.service.uri(project)

    def environment(self, project: str) -> Mapping[str, str]:
        return self.service.environment(project)

    def opened(self, context: Context, project: str, account: str) -> AbstractContextManager[Bucket]:
        return nullcontext(self.service.bucket(project))


def data_of(context: Context) -> Data | None:
    """The object store with the data of projects; None without one."""
    if context.cluster.project_data:
        return CloudData(context.cluster.project_data)
    parts = (context.catalog[name] for name in context.environment.components)
    return next((StoreData(each) for each in parts if each.projects and each.projects.data), None)


def require_data(context: Context) -> Data:
    """The same. Raises UsageError without an object store."""
    data = data_of(context)
    if data is None:
        raise UsageError(
            f"{context.environment.name} has no object store with data of projects",
            why="none of its components has `projects.data`, and its cluster has none",
            hint="add one to `components`, such as the object store of the shipped environment `local`",
        )
    return data
