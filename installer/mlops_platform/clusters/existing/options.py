"""Owns what an environment says of a cluster that is there already."""

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
    if not re.fullmatch(r"[\w.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", value):
        raise ValueError(
            "not a repository | HOST/PATH without a tag, such as registry.example.com/team/mlops"
        )
    return value


class Options(ClusterSpec):
    """The `cluster:` section of an environment on a cluster that is there already."""

    kubeconfig: Annotated[str, AfterValidator(_filled)] = Field(description="path; ~ is your home folder")
    context: Annotated[str, AfterValidator(_filled)] = Field(description="one of the kubeconfig's contexts")
    storage_class: Annotated[str, AfterValidator(_filled)] = Field(description="what volumes are made of")
    region: str = Field(default="existing", description="where it is, for people")
    labels: dict[str, str] = Field(default_factory=dict, description="for what this environment owns")
    pod_networks: list[Network] = Field(
        default_factory=list,
        description="where pods have their addresses: pods do not get to what only people may",
    )
    registry: Annotated[str, AfterValidator(_repository)] = Field(
        default="",
        description="repository for images built here, to which you are logged in; nodes take them",
    )
