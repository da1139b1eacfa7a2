"""The data of projects: a bucket each, in the object store that exchanges tokens for credentials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.adapters.kube import KubeError
from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import SERVER, TOKEN_SECONDS, TOKENS_PATH, TRAINER
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.run.context import Context

if TYPE_CHECKING:
    from mlops_platform.adapters.s3 import Bucket

CONFIG_NAME = "data"  # the ConfigMap in a project's namespace, for `envFrom` of pods
_CAPABILITY = "object-store"


@dataclass(frozen=True)
class Data:
    """The object store with the buckets of projects."""

    component: Component

    @property
    def audience(self) -> str:
        assert self.component.projects
        return self.component.projects.token

    @property
    def port(self) -> int:
        return self.component.serves[self.component.provides[_CAPABILITY].port].port

    @property
    def region(self) -> str:
        return self.component.provides[_CAPABILITY].keys["region"]

    def bucket(self, project: str) -> str:
        assert self.component.projects
        return str(substitute(self.component.projects.data, {"project": project}))

    def environment(self, project: str) -> dict[str, str]:
        """The variables with which AWS SDKs exchange a pod's token and find the object store.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
        """
        url = f"http://{self.component.name}.{self.component.namespace}.svc:{self.port}"
        return {
            "DATA_URI": f"s3://{self.bucket(project)}",
            "DATA_TOKEN_AUDIENCE": self.audience,
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ENDPOINT_URL_STS": url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/project",  # SDKs want one; the token decides
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{TOKENS_PATH}/{self.audience}",
        }


def data_of(catalog: Catalog, chosen: Iterable[str]) -> Data | None:
    """The chosen component that has the data of projects."""
    parts = (catalog[name] for name in chosen)
    return next((Data(each) for each in parts if each.projects and each.projects.data), None)


@contextmanager
def opened(context: Context, project: str, *, writes: bool = False) -> Iterator[Bucket]:
    """Open a project's bucket for the block, as its account that writes or only reads.

    The token comes from the API server, so the caller needs the right to make tokens of these accounts; no
    password of the object store is used. Raises UsageError without an object store or project, StepError.
    """
    # Load wsproto and botocore: imported at use, for start-up time.
    from mlops_platform.adapters.kube.forward import forward
    from mlops_platform.adapters.s3 import Bucket

    environment, kube = context.environment, context.clients.kube
    data = data_of(context.catalog, environment.components)
    if data is None:
        raise UsageError(
            f"{environment.name} has no object store with data of projects",
            why="none of its components has `projects.data`",
            hint="add one to `components`, such as the object store of the shipped environment `local`",
        )
    account, component = TRAINER if writes else SERVER, data.component

    def token() -> str:
        try:
            return kube.token(project, account, data.audience, seconds=TOKEN_SECONDS)
        except KubeError as error:
            if error.status != 404:
                raise
            raise UsageError(
                f"{environment.name} has no project {project}",
                command=f"mlops-platform project list --env {environment.name}",
            ) from error

    token()  # a wrong name is an error before anything is opened
    with forward(kube, component.namespace, f"service/{component.name}", data.port) as address:
        yield Bucket(f"http://{address}", data.region, data.bucket(project), token)
