"""Options of an environment on a cluster that is there already."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mlops_platform.catalogue.fields import Network
from mlops_platform.environment.model import ClusterSpec


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("empty | name it")
    return value


def _repository(value: str) -> str:
    # A host, and what https://github.com/opencontainers/distribution-spec/blob/main/spec.md calls a <name>.
    if not re.fullmatch(r"[A-Za-z0-9_.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", value):
        raise ValueError(
            "not a repository | HOST/PATH without a tag, such as registry.example.com/team/mlops"
        )
    return value


class Options(ClusterSpec):
    """The `cluster:` section of an environment on a cluster that is there already."""

    kubeconfig: Annotated[str, AfterValidator(_filled)] = Field(description="path; ~ is your home folder")
    context: Annotated[str, AfterValidator(_filled)] = Field(description="one of the kubeconfig's contexts")
    storage_class: Annotated[str, AfterValidator(_filled)] = Field(description="StorageClass of the volumes")
    region: str = Field(default="existing", description="location, shown to users")
    labels: dict[str, str] = Field(
        default_factory=dict, description="labels of everything that this environment creates"
    )
    pod_networks: list[Network] = Field(
        default_factory=list,
        description="networks of the pods' addresses; pods are denied what only users may reach",
    )
    registry: Annotated[str, AfterValidator(_repository)] = Field(
        default="",
        description="repository for images built here; log in to it first, and let the nodes pull from it",
    )
