"""Keys of component.yaml for scripts that run in Jobs: jobs and smoke tests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlops_platform.base.yaml import Strict
from mlops_platform.catalogue.fields import (
    Audience,
    EnvName,
    FileName,
    Memory,
    Name,
    Pods,
    ScriptName,
)
from mlops_platform.catalogue.rules import Rule


class Script(Strict):
    """A Python script of the component's folder that runs in a Job."""

    script: ScriptName = Field(description="File in the component's folder")
    secrets: list[Name] = Field(
        default_factory=list, description="Keys of `needs`, mounted at /run/secrets/<key>"
    )
    identity: bool = Field(default=False, description="true: it logs in to Vault (platform_vault.py)")
    token: Audience = Field(
        default="", description="Audience of a token of the Job's account, at /run/secrets/token/token"
    )
    env: dict[EnvName, str] = Field(
        default_factory=dict, description="Environment, with template variables; no secrets"
    )
    memory: Memory = Field(default="512Mi", description="Memory limit of the Job")
    seconds: Annotated[int, Field(ge=1, le=3600)] = Field(default=300, description="Time limit of the Job")


class JobSpec(Script):
    """A script that runs before the release, such as a schema migration. Its argument is its name."""

    name: Name = Field(description="Name of the Job after the component's")
    image: Name = Field(description="Image of the script")


class SmokeSpec(Script):
    """A smoke test of the component: a script that prints a JSON line per test (smoke/probes.py)."""

    name: Name = Field(default="", description="`mlops-platform smoke <name>` runs this test alone")
    image: Name = Field(default="toolbox", description="Image of the script")
    requires: list[Name] = Field(
        default_factory=list,
        description="Components or capabilities without which the test is left out; it runs after their "
        "tests. With `project`, the project has what they make for projects",
    )
    survives: list[Pods] = Field(
        default_factory=list,
        description="Pods (`db-0`, `deployment/web`) that are deleted between `write` and `read`, "
        "where the environment has smoke.disruptive",
    )
    files: list[FileName] = Field(default_factory=list, description="Files beside the script")
    people: bool = Field(
        default=False,
        description="true: it gets users that exist for the test only. With `project`, data-scientists are "
        "members with `edit`, viewers with `view`",
    )
    project: bool = Field(
        default=False,
        description="true: it gets a project that exists for the test only, and may there what `edit` may "
        "(apiserver.py)",
    )
    dags: bool = Field(
        default=False, description="With `project`: the project has the DAGs of projects.dags.example"
    )
    rights: list[Rule] = Field(
        default_factory=list,
        description="With `project`: rights in the whole cluster on the component's kinds, during the test",
    )
    long: bool = Field(
        default=False,
        description="true: `up` leaves it out. `mlops-platform smoke <component>` runs it, or if it has a "
        "name, `mlops-platform smoke <name>`",
    )
    grace: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None, description="Grace period in seconds of the deleted pods; default: their own"
    )
